"""Claims and failed attempts at this door: what the commands and the vision thread share."""
