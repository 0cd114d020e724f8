"""Runs over files that are killed at random, for each kind of output: ``make soak ARGS='--streams all'``."""
