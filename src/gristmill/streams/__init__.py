"""Files and tables larger than memory: read in chunks, run in batches, written and committed exactly once."""

from __future__ import annotations

from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report
from gristmill.streams.stopping import Stopping

__all__ = ["Pipeline", "ReadOptions", "Report", "RunOptions", "Stopping", "WriteOptions"]
