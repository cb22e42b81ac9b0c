"""What one face's visit comes to: its looks, and the verdict on them."""
