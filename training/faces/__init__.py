"""Train the networks for faces: the landmark network and the Siamese pair."""
