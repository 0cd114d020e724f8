from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest


def test_a_store_is_made_and_found_up_to_date(gristmill: Any, tmp_path: Path) -> None:
    result = gristmill("migrate", "sqlite:///queue.db")
    assert result.exit_code == 0
    assert result.stdout == "sqlite:///queue.db is made; durability: fsync on commit\n"
    assert (tmp_path / "queue.db").exists()
    again = gristmill("migrate", "sqlite:///queue.db")
    assert again.stdout == "sqlite:///queue.db is up to date; durability: fsync on commit\n"


def test_the_store_may_be_that_of_an_app(gristmill: Any) -> None:
    result = gristmill("migrate", "shop_once:app")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "memory://")


def test_a_schema_of_a_newer_version_is_refused(gristmill: Any, tmp_path: Path) -> None:
    gristmill("migrate", "sqlite:///queue.db")
    database = apsw.Connection(str(tmp_path / "queue.db"))
    database.execute("UPDATE gristmill_schema SET version = 999")
    database.close()
    result = gristmill("migrate", "sqlite:///queue.db")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a newer Gristmill wrote" in result.stderr


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("mysql://host/x", "a store is sqlite:///file"),
        ("shop_once:bare", "this App has no store"),
        ("sqlite:///no/folder/queue.db", "the folder of the store does not exist"),
    ],
)
def test_what_cannot_be_migrated_is_one_line(gristmill: Any, target: str, text: str) -> None:
    result = gristmill("migrate", target)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
