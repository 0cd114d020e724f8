"""Tables and queries of SQL databases, as outputs and inputs of runs."""
