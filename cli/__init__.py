"""The one command, oneglance."""
