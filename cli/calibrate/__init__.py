"""`oneglance calibrate`: learn what a door's own pictures do to scores."""
