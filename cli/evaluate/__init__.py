"""`oneglance evaluate`."""
