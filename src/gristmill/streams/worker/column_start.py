"""Loads all that runs chunks as columns, in the process that workers are forked from."""

from __future__ import annotations

from gristmill.batching.columnar import arrow
from gristmill.streams.formats import column_csv, column_text
from gristmill.streams.worker import columns

__all__ = ["column_csv", "column_text", "columns"]

arrow().scalar(0)  # loads pandas where it is installed, which takes as long as all the rest
