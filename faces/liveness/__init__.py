"""Whether a living face stands before the camera, or a picture of one."""
