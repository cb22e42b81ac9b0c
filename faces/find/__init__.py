"""Where faces are in a picture, which way they look, and how they are cut out."""
