"""The names of the columns, as the first record gives them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from gristmill.errors import MalformedInput
from gristmill.streams.formats.csv_records import check_quotes
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.encoding import bom_length, check_encoding, check_head

OnDuplicate: TypeAlias = Literal["error", "rename", "first"]


def read_header(
    record: bytes, dialect: Dialect, encoding: str = "utf-8", *, on_duplicate: OnDuplicate = "error"
) -> list[str]:
    """Return the names in a header, one for each cell, byte for byte as they stand.

    A byte order mark of UTF-8 before them is left out. A column without a name is called by its place:
    ``_col3`` is the third.

    Args:
        record: The first record of the file, as ``first_record`` finds it, or with its byte order mark.
        dialect: Of the file.
        encoding: Of the file.
        on_duplicate: What becomes of a name that is there twice: an error; ``a``, ``a_2``, ``a_3``; or
            ``first``: the name stands twice in the list, and a row has the first cell of that name only.

    Raises:
        ConfigurationError: Records cannot be found in this *encoding*.
        MalformedInput: There are no names, or one is there twice; the record is not text in *encoding*;
            quotes stand where they may not.
    """
    check_encoding(encoding, dialect)
    check_head(record, encoding)
    names = _cells(record[bom_length(record) :], dialect, encoding)
    if not names:
        raise MalformedInput("there is no header: the first record must name the columns", offset=0)
    names = [name or f"_col{place}" for place, name in enumerate(names, 1)]
    if on_duplicate == "rename":
        return _renamed(names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and on_duplicate == "error":
        shown = ", ".join(map(repr, twice[:3]))
        raise MalformedInput(
            f"the header names {shown} more than once:"
            " rename the columns, or choose on_duplicate='rename' or 'first'",
            offset=0,
        )
    return names


def _cells(record: bytes, dialect: Dialect, encoding: str) -> list[str]:
    if dialect.quoting == "rfc4180" and (at := check_quotes(record, dialect)) is not None:
        raise MalformedInput(
            f"the quotes of the header are not those of RFC 4180, at its byte {at}:"
            " choose another delimiter or quoting",
            offset=at,
        )
    try:
        return next(dialect.reader([record.decode(encoding)]), [])
    except UnicodeDecodeError as error:
        raise MalformedInput(
            f"the header is not {encoding}, at its byte {error.start}: give the encoding of the file",
            offset=error.start,
        ) from error
    except csv.Error as error:
        raise MalformedInput(f"the header is no single record of CSV: {error}", offset=0) from error


def _renamed(names: Sequence[str]) -> list[str]:
    """Number the names that are there twice, past those that are taken."""
    taken = set(names)
    found: list[str] = []
    seen: set[str] = set()
    for name in names:
        unique, number = name, 1
        while unique in seen or (number > 1 and unique in taken):
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique)
        found.append(unique)
    return found
