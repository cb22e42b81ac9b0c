"""Rendered films of visits and presentation attacks, to fit the liveness judge and to test it."""
