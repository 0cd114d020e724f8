"""Where chunks run: a pool of processes, or Ray."""
