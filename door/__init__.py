"""The reference lock: verifies a decision, then pulses a relay."""
