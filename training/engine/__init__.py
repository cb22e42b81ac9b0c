"""What every training run is built on: epochs, checkpoints, batches, logs. Knows nothing of
faces.
"""
