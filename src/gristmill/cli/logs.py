"""The log of commands that run: to stderr, one line an event."""

from __future__ import annotations

import logging
from enum import StrEnum


class LogLevel(StrEnum):
    """What goes to the log, and everything worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def log_to_stderr(level: LogLevel) -> None:
    """Log what is said from *level* on; a module that has set up logging already keeps its own way."""
    name = level.value.upper()
    logging.basicConfig(level=name, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("gristmill").setLevel(name)
