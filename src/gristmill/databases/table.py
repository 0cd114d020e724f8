"""What a database says of a table, asked once; pure."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gristmill.databases.names import TableName
from gristmill.errors import ConfigurationError

_MAX_STATEMENTS = 256


class Family(Enum):
    """How values of a column are brought into the form its driver takes.

    ARRAY: of whatever may come as a list or a tuple, and would be taken for a
    part of the array of a column's values.
    """

    TEXT = "text"
    JSON = "json"
    TIME = "time"
    ARRAY = "array"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        name: Its name.
        type: As SQL names it, without a length: ``character varying``.
        family: Of its values.
        is_generated: Computed by the database, or an identity that is always generated: never written.
        values: The type of which the driver returns all its values but NULL; None where that is not known.
        is_exact: Whether its values are equal in Python if they are in the database.
    """

    name: str
    type: str
    family: Family = Family.OTHER
    is_generated: bool = False
    values: builtins.type | None = None
    is_exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: Its name.
        columns: By their names, in their order.
        key: The columns of the primary key; none where there is no such key.
        takes_copy: Whether COPY may fill it: a plain or partitioned table, without rules or policies.
        has_deferred: Whether some constraint of it is checked at the commit only.
        may_ignore: Whether a rule or a trigger may leave a row out, silently.
        statements: Those that were made for it, by whoever made them.
    """

    name: TableName
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    takes_copy: bool = False
    has_deferred: bool = False
    may_ignore: bool = False
    statements: dict[Any, str] = field(default_factory=dict, compare=False, repr=False)

    def remembered(self, what: Hashable, make: Callable[[], str]) -> str:
        """Return the statement for *what*, made once."""
        found = self.statements.get(what)
        if found is None:
            if len(self.statements) >= _MAX_STATEMENTS:
                self.statements.clear()
            found = self.statements[what] = make()
        return found

    @property
    def writable(self) -> tuple[str, ...]:
        """The columns that can be written."""
        return tuple(name for name, column in self.columns.items() if not column.is_generated)

    def check(self, names: Iterable[str], what: str, advice: str = "") -> None:
        """Refuse *names* that are no columns.

        Raises:
            ConfigurationError: Some are not; it names them and the columns there are.
        """
        unknown = [name for name in names if name not in self.columns]
        if unknown:
            raise ConfigurationError(
                f"{what} that the table {self.name} does not have: {', '.join(unknown)}; "
                f"it has {', '.join(self.columns)}{advice}"
            )

    def key_or(self, given: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return the key that was *given*, or the primary one.

        Raises:
            ConfigurationError: There is none, or a column of it.
        """
        if given is None:
            if not self.key:
                raise ConfigurationError(f"the table {self.name} has no primary key: say key=(...)")
            return self.key
        if not given:
            raise ConfigurationError("key names at least one column")
        self.check(given, "columns of the key")
        return given


def no_such_table(name: TableName) -> ConfigurationError:
    """Return the error for a table that is not there."""
    return ConfigurationError(
        f"there is no table {name}, or the user may not see it: create it first, or name its schema "
        "as in sales.users"
    )
