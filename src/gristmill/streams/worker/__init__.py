"""What happens to a chunk in a worker: read, run, encode."""
