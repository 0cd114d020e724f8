"""Batching for Python services: one batch handler, many ways in."""
