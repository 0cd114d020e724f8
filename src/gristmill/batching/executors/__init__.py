"""Where a batch runs: on the loop, in threads, in processes, on Ray."""

from __future__ import annotations

from gristmill.batching.executors.inline import Inline
from gristmill.batching.executors.processes import Processes
from gristmill.batching.executors.protocol import Executor
from gristmill.batching.executors.ray import Ray
from gristmill.batching.executors.threads import Threads

__all__ = ["Executor", "Inline", "Processes", "Ray", "Threads"]
