from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from gristmill.queue.sqlite.statements import repeated, statement

FOLDER = resources.files("gristmill.queue.sqlite") / "sql"
SCRIPTS = sorted(script for script in FOLDER.iterdir() if script.is_file())
SOURCES = "".join(path.read_text() for path in Path(str(FOLDER)).parent.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_statement_says_what_it_is_for_and_is_used(script):
    name = script.name.removesuffix(".sql")
    first = script.read_text().splitlines()[0]
    assert first.startswith("-- ")
    assert first.endswith(".")
    uses = [f'statement("{name}")', f'repeated("{name}")']
    assert any(use in SOURCES for use in uses) or (
        name.startswith("jobs_") and 'statement(f"jobs_{state.value}")' in SOURCES
    )


def test_comments_are_not_sent():
    assert not statement("job_find").startswith("--")


def test_a_row_of_values_is_repeated():
    of_rows = repeated("bodies_insert")
    assert of_rows(1) == statement("bodies_insert")
    assert of_rows(3).endswith("VALUES\n(?, ?), (?, ?), (?, ?)")
