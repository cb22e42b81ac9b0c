"""Labelled pictures: who is on them, whether they are fit, who is for training."""
