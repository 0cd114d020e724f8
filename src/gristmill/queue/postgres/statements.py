"""The statements of this store, each in a file of its own under ``sql``; the schema's under ``schema``."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_SCHEMA = re.compile(r"\bgristmill\.")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)


@functools.cache
def statements(schema: str) -> Mapping[str, str]:
    """Return every statement by the name of its file, for tables in *schema*."""
    return MappingProxyType({name: _COMMENT.sub("", text) for name, text in _texts("sql", schema).items()})


@functools.cache
def migrations(schema: str) -> tuple[str, ...]:
    """Return what makes *schema* from nothing, in order; the version of a schema is how many it has had."""
    return tuple(text for _, text in sorted(_texts("schema", schema).items()))


def _texts(folder: str, schema: str) -> dict[str, str]:
    found = files(__package__).joinpath(folder).iterdir()
    return {
        entry.name.removesuffix(".sql"): _SCHEMA.sub(f"{schema}.", entry.read_text("utf-8"))
        for entry in found
        if entry.name.endswith(".sql")
    }
