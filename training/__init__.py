"""Teach the Siamese network: data, networks, training, evaluation."""
