"""The queue in one SQLite file: one writer thread, group commit, ``synchronous=FULL``."""
