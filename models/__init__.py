"""The shipped model files and their manifests."""
