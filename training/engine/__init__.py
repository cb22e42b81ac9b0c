"""What every training run is built on: epochs, checkpoints, batches, logs. No faces here."""
