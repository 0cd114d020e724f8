"""How the cells of a CSV file are told apart."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from gristmill.errors import ConfigurationError

Quoting: TypeAlias = Literal["rfc4180", "lenient", "none"]

QUOTE = '"'
_NO_DELIMITERS = '"\r\n\0'
_ENDLESS_CELL = 2**31 - 1


@dataclass(frozen=True)
class Dialect:
    r"""Which byte ends a cell, and what quotes mean.

    A record ends at ``\n``, ``\r\n`` or ``\r``, and at nothing else.

    Attributes:
        delimiter: One ASCII character.
        quoting: ``rfc4180``: a cell is quoted as a whole or not at all (RFC 4180, section 2, with any text in
            the cells); anything else is an error, which is what makes the fast cuts safe. ``lenient``: what
            Python's module ``csv`` reads when it is not strict; a quote opens a cell at its beginning only
            and is a character like any other elsewhere. ``none``: a quote is never more than a character, and
            a line is a record.

    Raises:
        ConfigurationError: The delimiter is not one ASCII character, or there is no such quoting.
    """

    delimiter: str = ","
    quoting: Quoting = "rfc4180"

    def __post_init__(self) -> None:
        """Check what was given."""
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in _NO_DELIMITERS:
            raise ConfigurationError(
                f"no delimiter: {self.delimiter!r}; give one ASCII character that is no quote or line end"
            )
        if self.quoting not in get_args(Quoting):
            known = ", ".join(map(repr, get_args(Quoting)))
            raise ConfigurationError(f"there is no quoting {self.quoting!r}; there is {known}")

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        r"""Return the module ``csv``'s reader of *lines*, each with its line end.

        The size of a cell is bounded by the text alone: the limit of the module ``csv`` (128 KiB at first) is
        one number for the whole process, and the first call raises it for good.

        Args:
            lines: Text cut after ``\n``, ``\r\n`` and ``\r``, as ``io.StringIO(text, newline="")`` is.
        """
        if csv.field_size_limit() < _ENDLESS_CELL:
            csv.field_size_limit(_ENDLESS_CELL)
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=QUOTE,
            quoting=csv.QUOTE_NONE if self.quoting == "none" else csv.QUOTE_MINIMAL,
            strict=self.quoting == "rfc4180",
        )


COMMA = Dialect()
TAB = Dialect("\t")
