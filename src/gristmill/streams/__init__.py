"""Files and tables larger than memory: read in chunks, run in batches, written and committed exactly once."""
