"""Turn a trained Keras model into TFLite files, and prove that they are the same model."""
