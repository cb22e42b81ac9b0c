"""`oneglance collect`."""
