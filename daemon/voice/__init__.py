"""Everything that leaves the daemon: numbered, signed, published in time."""
