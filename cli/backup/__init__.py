"""A door put away under a passphrase, and brought back."""
