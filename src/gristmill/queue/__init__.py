"""The durable queue: chunks at rest, leases on them, and the workers that run them."""
