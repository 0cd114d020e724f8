"""Where a batch runs: on the loop, in threads, in processes."""
