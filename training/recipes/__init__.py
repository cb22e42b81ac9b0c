"""Every setting of a training, in TOML files that are checked whole."""
