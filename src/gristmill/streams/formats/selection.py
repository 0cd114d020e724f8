"""Which columns are read, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gristmill.errors import ConfigurationError


def chosen(
    names: Iterable[str], select: Mapping[str, str] | None, rename: Mapping[str, str] | None
) -> Mapping[str, str]:
    """Return name -> the name it gets, of the columns to read, in order.

    Args:
        names: Of all columns.
        select: The same, where not all are read.
        rename: name -> the name it gets, of some, where all are.

    Raises:
        ConfigurationError: No such column, or two would have one name.
    """
    all_names = dict.fromkeys(names)
    found = {name: (rename or {}).get(name, name) for name in all_names} if select is None else select
    if unknown := [name for name in (select or rename or ()) if name not in all_names]:
        shown = ", ".join(map(repr, unknown))
        raise ConfigurationError(f"there is no column {shown}; there is {', '.join(map(repr, all_names))}")
    if len(set(found.values())) < len(found):
        raise ConfigurationError(
            f"two entries of a row would have one name: {', '.join(map(repr, found.values()))}"
        )
    return found


def identity_of(select: Mapping[str, str] | None, rename: Mapping[str, str] | None) -> Mapping[str, Any]:
    """Return what these say of the identity of a run; of JSON's types."""
    found = {"selected columns": None if select is None else dict(select)}
    return {**found, "renamed columns": dict(rename)} if rename else found
