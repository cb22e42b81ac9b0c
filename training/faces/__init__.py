"""Teach the networks for faces: landmarks, and the Siamese pair."""
