"""Handlers on other machines: calls that coalesce into batches over HTTP, streams, and jobs."""
