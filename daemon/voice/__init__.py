"""What leaves the daemon: numbered, signed, published in time."""
