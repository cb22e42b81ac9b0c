"""How alike strangers look at one door, and what that makes of the model's thresholds."""
