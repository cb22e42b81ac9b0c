"""What asks for Home Assistant, which holds no key."""
