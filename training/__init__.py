"""Train the networks: data, architectures, the training loop, recipes."""
