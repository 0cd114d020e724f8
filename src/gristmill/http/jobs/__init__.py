"""The durable queue over HTTP: jobs come in, are watched, read, cancelled and run again."""
