"""The example, on each database."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "users_table.py"


@pytest.fixture
def example(place: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("USERS_DATABASE", place.url)
    spec = importlib.util.spec_from_file_location("users_table", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "users_table", module)
    spec.loader.exec_module(module)
    return module


async def test_users_are_created_and_found(example: Any) -> None:
    users = [example.NewUser("Ada", "a@x"), example.NewUser("Bob", "a@x"), example.NewUser("Cy", "c@x")]
    created = await example.create_users.outcomes(users)
    assert [each.ok or each.code for each in created] == [True, "unique_violation", True]
    ada = created[0].value
    found = await example.find_users.outcomes([ada.id, 10**6])
    assert found[0].value == ada
    assert found[1].code == "not_found"
    await example.pool.aclose()
