"""Train the networks for drawings: Koch's experiment."""
