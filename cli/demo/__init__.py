"""`oneglance demo`."""
