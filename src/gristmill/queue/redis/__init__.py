"""The queue in Redis or Valkey: chunks in hashes and sorted sets, moved by scripts."""
