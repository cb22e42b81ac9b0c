"""The real-time service: cameras to decisions."""
