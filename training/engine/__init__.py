"""What every training runs on: epochs, checkpoints, batches, logs; knows no faces."""
