"""The only network I/O."""
