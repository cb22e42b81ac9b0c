"""What happened at the door, in an append-only, hash-chained file: docs/audit.md."""
