"""`oneglance attack-test`."""
