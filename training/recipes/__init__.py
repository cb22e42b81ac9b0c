"""Every setting of a training run, in TOML files that are validated as a whole."""
