"""Back up a door under a passphrase, and restore it."""
