"""Which cells of a record become which entries of a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gristmill.errors import ConfigurationError
from gristmill.streams.formats.selection import chosen


@dataclass(frozen=True)
class Layout:
    """The columns of a file, and those that are wanted.

    Attributes:
        names: The names of all columns, in order. Of two columns of one name the first counts.
        select: name -> the name it gets in a row; the others are left out. None: all columns, under their
            own names.
        rename: name -> the name it gets, of some columns, where *select* is None.
        pad: Whether missing cells at the end of a record are empty strings instead of an error.
        extra: The name of one more entry of every row: the surplus cells of a record, written as one record
            of CSV with commas; an empty string if there are none. None: surplus cells are an error.
        allow_nul: Whether NUL bytes may be in cells.
        columns: The entries of a row: the name of each, and which cell it is.

    Raises:
        ConfigurationError: No such column, or two entries of one name.
    """

    names: Sequence[str]
    select: Mapping[str, str] | None = None
    rename: Mapping[str, str] | None = None
    pad: bool = False
    extra: str | None = None
    allow_nul: bool = False
    columns: tuple[tuple[str, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find the columns."""
        if not self.names:
            raise ConfigurationError("a layout needs the names of its columns")
        first: dict[str, int] = {}
        for place, name in enumerate(self.names):
            first.setdefault(name, place)
        wanted = chosen(first, self.select, self.rename)
        if self.extra in wanted.values():
            raise ConfigurationError(
                f"two entries of a row would have one name: {', '.join(map(repr, wanted.values()))}, "
                f"{self.extra!r}"
            )
        columns = tuple((new, first[name]) for name, new in wanted.items())
        object.__setattr__(self, "columns", columns)

    @property
    def width(self) -> int:
        """How many cells a record has."""
        return len(self.names)

    def fitted(self, cells: list[str]) -> list[str] | None:
        """Return *cells* as many as there should be, with the surplus after them if that is wanted.

        Returns:
            None if there are too many or too few, and nothing allows that.
        """
        width = self.width
        if len(cells) < width:
            if not self.pad:
                return None
            cells = cells + [""] * (width - len(cells))
        elif len(cells) > width and self.extra is None:
            return None
        if self.extra is None:
            return cells
        return [*cells[:width], _as_record(cells[width:])]


def _as_record(cells: list[str]) -> str:
    if not cells:
        return ""
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(cells)
    return written.getvalue()
