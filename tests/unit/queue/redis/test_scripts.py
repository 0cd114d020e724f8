"""The script files: each says what it does, and what it may do when memory is full."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from gristmill.queue.redis.scripts import script

FOLDER = Path(str(resources.files("gristmill.queue.redis") / "lua"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.lua") if path.stem not in ("tables", "chunks"))
READERS = {
    "dead_chunks",
    "dead_groups",
    "jobs",
    "places",
    "queues",
    "read",
    "results",
    "results_between",
    "todo",
}
TAKERS = {"add", "enqueue"}  # what they store needs room


@pytest.mark.parametrize("name", NAMES)
def test_a_script_says_what_it_does(name: str) -> None:
    flags, purpose, *_ = (FOLDER / f"{name}.lua").read_text().splitlines()
    assert purpose.startswith("-- ")
    expected = "#!lua" if name in TAKERS else f"#!lua flags={'no-writes' if name in READERS else 'allow-oom'}"
    assert flags == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_script_stands_behind_the_rows_and_its_flags_before_them(name: str) -> None:
    source = script(name).source
    assert source.startswith("#!lua")
    assert source.count("#!lua") == 1
    assert source.index("-- The rows of the store") < source.index("-- Chunks, where they wait")
    assert source.index("-- The rows of the store") < source.index((FOLDER / f"{name}.lua").read_text()[-40:])


def test_every_script_is_called_by_somebody() -> None:
    code = "".join(path.read_text() for path in FOLDER.parent.glob("*.py"))
    called = set(re.findall(r"\b(?:run|run_acknowledged|run_to_disk)\(\s*\"(\w+)\"", code))
    assert called == set(NAMES)


def test_rows_have_the_same_fields_on_both_sides() -> None:
    from gristmill.queue.redis.records import JOB_FIELDS, ChunkRow  # noqa: PLC0415 - only here

    text = (FOLDER / "tables.lua").read_text()
    (block,) = re.findall(r"local FIELDS = \{(.*?)\}", text, re.DOTALL)
    assert tuple(re.findall(r"'(\w+)'", block)) == ChunkRow.__struct_fields__
    (block,) = re.findall(r"local JOB = \{(.*?)\}", text, re.DOTALL)
    assert set(JOB_FIELDS) - {"created_at"} <= set(re.findall(r"'(\w+)'", block))
