"""How large batches of a handler should be, by experiment: run it at several sizes, fit the cost."""
