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
    """Log from *level* on what Gristmill says, and what handlers say unless their module has set up its own log."""
    name = level.value.upper()
    logging.basicConfig(level=name, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("gristmill").setLevel(name)
