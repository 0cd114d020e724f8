"""The Lua scripts: read from their files once, each behind the rows and chunks that it works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

_FIRST = ("tables", "chunks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script as the server takes it, and the digest it is called by."""

    name: str
    source: str
    digest: str


@cache
def script(name: str) -> Script:
    """Return the script of the file *name*.lua."""
    folder = resources.files(__package__) / "lua"
    flags, _, body = (folder / f"{name}.lua").read_text().partition("\n")
    # What the script may do has to stand in the first line.
    source = "\n".join((flags, *((folder / f"{each}.lua").read_text() for each in _FIRST), body))
    return Script(name=name, source=source, digest=hashlib.sha1(source.encode()).hexdigest())  # noqa: S324 - how the server names scripts
