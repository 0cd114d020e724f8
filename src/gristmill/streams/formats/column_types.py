"""Which types the columns of a text have: said, or inferred from samples once and then frozen.

Only types whose text says the same after they were read and written are
inferred: whole numbers without leading zeros, decimals of few enough digits
for a double, ``true`` and ``false``. Everything else stays text: ``007``,
``NA``, dates, numbers of 23 digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gristmill.errors import ConfigurationError

STRING, INT, FLOAT, BOOL = "string", "int64", "double", "bool"

_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?\Z")
_TRUTHS = (frozenset(("true", "false")), frozenset(("True", "False")), frozenset(("TRUE", "FALSE")))
EXACT_DIGITS = 17
"""Characters of a decimal that a double surely tells from every other decimal of as many."""
_KNOWN = re.compile(
    r"u?int(?:8|16|32|64)|float(?:16|32|64)?|double|bool|string|date32|time64\[us\]|timestamp\[(?:s|ms|us|ns)\]"
    r"|decimal\([0-9]{1,2}, ?[0-9]{1,2}\)"
)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type of one column.

    Attributes:
        name: As Arrow calls it: ``int64``, ``double``, ``timestamp[us]``, ``decimal(12,2)``.
        is_inferred: It was found in samples, so a cell that would lose something fails instead.
    """

    name: str
    is_inferred: bool = False

    def __str__(self) -> str:
        """Show it, for reports and for the identity of a run."""
        return f"{self.name} (inferred)" if self.is_inferred else self.name


def parse_types(texts: Mapping[str, str]) -> dict[str, ColumnType]:
    """Return the types that *texts* names, for each column.

    Raises:
        ConfigurationError: There is no such type.
    """
    for column, name in texts.items():
        if not _KNOWN.fullmatch(name):
            raise ConfigurationError(
                f"column {column} cannot be read as {name!r}; there is int64, double, bool, string, date32, "
                "timestamp[us], decimal(12,2) and their smaller kin"
            )
    return {column: ColumnType(name) for column, name in texts.items()}


def infer(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> dict[str, ColumnType]:
    """Return the type of each of *columns*, ``string`` where *rows* do not agree on another.

    Args:
        columns: Their names.
        rows: A sample. Empty cells say nothing.
    """
    held = list(rows)
    seen = {name: {row.get(name, "") for row in held} for name in columns}
    return {name: ColumnType(_common(cells), is_inferred=True) for name, cells in seen.items()}


def _common(cells: set[str]) -> str:
    said = cells - {""}
    if not said or "-0" in said:
        return STRING
    if all(map(_INT.match, said)):
        return INT
    if all(len(cell) <= EXACT_DIGITS and _FLOAT.match(cell) for cell in said):
        return FLOAT
    return BOOL if any(said <= each for each in _TRUTHS) else STRING
