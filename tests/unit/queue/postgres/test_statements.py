"""Statements in files."""

from __future__ import annotations

import re
from importlib.resources import files

from gristmill.queue.postgres.statements import migrations, statements


def test_every_file_begins_with_its_purpose() -> None:
    for folder in ("sql", "schema"):
        entries = list(files("gristmill.queue.postgres").joinpath(folder).iterdir())
        assert entries
        assert [entry.name for entry in entries if not entry.read_text().startswith("-- ")] == []


def test_every_statement_is_used_and_every_one_used_is_there() -> None:
    sources = files("gristmill.queue.postgres")
    used: set[str] = set()
    for entry in sources.iterdir():
        if entry.name.endswith(".py"):
            used |= set(re.findall(r'\.(?:fetch|row|value)\(\s*"(\w+)"', entry.read_text()))
    assert used == set(statements("gristmill"))


def test_the_schema_of_the_url_stands_in_every_statement() -> None:
    for text in (*statements("mine").values(), *migrations("mine")):
        assert "gristmill." not in text
    assert "mine.chunk" in statements("mine")["claim"]
