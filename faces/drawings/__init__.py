"""Drawn characters instead of faces: Omniglot's one-shot trials."""
