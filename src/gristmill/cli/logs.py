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
    """Log what Gristmill and handlers say from *level* on."""
    logging.basicConfig(
        level=level.value.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
