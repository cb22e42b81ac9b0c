"""The networks, and the layers they are built from."""
