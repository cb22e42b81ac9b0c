"""Cameras: frames in, whatever happens to the device."""
