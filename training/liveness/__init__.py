"""Made films of visits and of presentation attacks: to fit a judge of liveness, and to judge it."""
