"""Text formats as pure functions: bytes in, record boundaries and rows out; no I/O."""
