"""Turn a trained Keras model into TFLite files that are provably the same model."""
