"""The gallery as the daemon holds it: whole, and up to date."""
