"""Jobs of the durable queue of another machine."""
