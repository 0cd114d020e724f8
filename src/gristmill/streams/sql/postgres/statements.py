"""The statements, each in a file of its own; a name that differs by run is put in for ``gristmill``."""

from __future__ import annotations

import functools
import re
from importlib.resources import files

_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_SCHEMA = re.compile(r"\bgristmill\.gristmill_ledger")


@functools.cache
def statement(name: str, schema: str = "") -> str:
    """Return the statement *name*, for a ledger in *schema*, quoted."""
    text = files(__package__).joinpath("statements", f"{name}.sql").read_text("utf-8")
    return _SCHEMA.sub(lambda _: f"{schema}.gristmill_ledger", _COMMENT.sub("", text))
