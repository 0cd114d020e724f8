"""Hours of bad luck for the durable queue, and a look at the history afterwards: ``make soak``."""
