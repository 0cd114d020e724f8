"""``gristmill``: where the command begins."""

from __future__ import annotations

import sys

from gristmill.cli.fork_server import start_fork_server

_INTERRUPTED = 130
"""Ctrl-C, as shells say it; ``exits`` is not loaded yet."""


def main() -> None:
    """Run the command."""
    _hide_from_workers()
    try:
        start_fork_server(sys.argv[1:])  # first of all: it loads what it needs while this process does
        from gristmill.cli.commands import app  # noqa: PLC0415 - as said
    except KeyboardInterrupt:  # later on the commands answer it
        sys.exit(_INTERRUPTED)

    app()


def _hide_from_workers() -> None:
    """Have worker processes not load this program once more, as multiprocessing does.

    No handler is in the command itself.
    """
    program = sys.modules["__main__"]
    program.__spec__ = None
    vars(program).pop("__file__", None)
