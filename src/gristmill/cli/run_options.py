"""Lists of columns and sizes of batches, as people type them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gristmill.errors import ConfigurationError


def parse_columns(text: str | None) -> tuple[str, ...] | None:
    """Return the names in ``a,b,c``; None for None.

    Raises:
        ConfigurationError: One is empty, or there twice.
    """
    if text is None:
        return None
    names = tuple(each.strip() for each in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ConfigurationError(f"columns are given as a,b,c, each once; not {text!r}")
    return names


def parse_types(text: str | None) -> dict[str, str] | None:
    """Return column -> type in ``id=int64,price=decimal(12,2)``; None for None.

    Raises:
        ConfigurationError: A part is no ``column=type``.
    """
    if text is None:
        return None
    found: dict[str, str] = {}
    for each in re.split(r",(?![^(]*\))", text):
        name, equals, kind = (part.strip() for part in each.partition("="))
        if not (name and equals and kind):
            raise ConfigurationError(f"types are given as column=type,...; not {each!r}")
        found[name] = kind
    return found


def parse_rename(texts: Sequence[str] | None) -> dict[str, str] | None:
    """Return name -> new name of ``old=new`` texts; None if there are none.

    Raises:
        ConfigurationError: One is no ``old=new``, or a name is there twice.
    """
    changes: dict[str, str] = {}
    for each in texts or ():
        old, equals, new = each.partition("=")
        if not (old and equals and new):
            raise ConfigurationError(f"--rename is OLD=NEW; not {each!r}")
        if changes.setdefault(old, new) != new:
            raise ConfigurationError(f"--rename gives {old!r} two names, {changes[old]!r} and {new!r}")
    return changes or None


def parse_select(select: str | None, rename: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return name -> new name of the columns to read; None for all.

    Args:
        select: ``a,b``.
        rename: name -> new name of some of them.

    Raises:
        ConfigurationError: They do not fit together.
    """
    names = parse_columns(select)
    if names is None:
        return None
    changes = rename or {}
    if unknown := sorted(changes.keys() - set(names)):
        raise ConfigurationError(f"--rename {unknown[0]}=... renames a column that --select does not read")
    return {name: changes.get(name, name) for name in names}


def parse_batch_size(text: str | None) -> int | str | None:
    """Return a number of rows, ``"auto"``, or None for None.

    Raises:
        ConfigurationError: It is none of these.
    """
    if text is None or text == "auto":
        return text
    if not text.isdecimal():
        raise ConfigurationError(f"--batch-size is a number of rows, or auto; not {text!r}")
    return int(text)


def parse_headers(lines: Sequence[str] | None) -> dict[str, str]:
    """Return the headers in lines like ``Authorization: Bearer abc``.

    Raises:
        ConfigurationError: One is no header; its value is not told.
    """
    found: dict[str, str] = {}
    for line in lines or ():
        name, colon, value = line.partition(":")
        if not colon or not name.strip().replace("-", "").isalnum() or not value.isprintable():
            raise ConfigurationError("--header is 'NAME: VALUE', such as 'Authorization: Bearer abc'")
        found[name.strip().lower()] = value.strip()
    return found
