"""Private files: read, atomic write, lock."""
