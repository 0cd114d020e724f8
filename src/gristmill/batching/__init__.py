"""The heart: one handler, many callers."""
