"""What one camera sees: faces, found and followed."""
