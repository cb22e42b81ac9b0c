"""`oneglance people`."""
