"""The networks, and what they are built from."""
