"""Bulk writers and loaders: a batch goes to the database at once, and every row gets its own outcome.

A driver is imported only when a URL or a pool of it is given, so only its own
extra is needed: ``gristmill[postgres]``, ``[sqlite]``, ``[mysql]``, ``[mongo]``.
"""

from __future__ import annotations

from gristmill.databases.loader import BulkLoader
from gristmill.databases.pool import Pool
from gristmill.databases.writer import BulkWriter

__all__ = ["BulkLoader", "BulkWriter", "Pool"]
