"""The statements, each in a file of its own."""

from __future__ import annotations

import functools
from importlib.resources import files


@functools.cache
def statement(name: str) -> str:
    """Return the statement *name*, without its comment."""
    text = files(__package__).joinpath("statements", f"{name}.sql").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
