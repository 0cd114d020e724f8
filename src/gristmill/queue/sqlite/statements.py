"""The SQL statements, each in a file of its own under ``sql/``; read once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources

_FOLDER = resources.files(__package__) / "sql"


def statement(name: str) -> str:
    """Return the SQL of ``sql/<name>.sql`` without its comments."""
    lines = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def repeated(name: str) -> Callable[[int], str]:
    """Return what makes the SQL of ``sql/<name>.sql``, which ends with a row of values, one of many rows."""
    text = statement(name)
    row = text[text.rindex("(") :]

    @cache
    def of_rows(count: int) -> str:
        return ", ".join([text, *[row] * (count - 1)])

    return of_rows


def migrations() -> list[str]:
    """Return the scripts that bring a schema from version *n* to *n* + 1, in their order."""
    scripts = sorted((_FOLDER / "migrations").iterdir(), key=lambda script: script.name)
    return [script.read_text(encoding="utf-8") for script in scripts]
