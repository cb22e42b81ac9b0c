"""Labelled pictures: who is in them, whether they are usable, and who is trained on."""
