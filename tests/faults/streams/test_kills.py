"""A run that is killed at any instant and run again ends as if nothing had happened: two kills for each kind.

As many as one likes: ``make soak ARGS='--streams all --kills 200'``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from soak.streams.kinds import KINDS, Way
from soak.streams.soaking import StreamSoak, check_letters, expect

ROWS = 4_000
KILLS = 2
ORDERED, UNORDERED = Way("rows", "in.csv"), Way("rows", "in.csv", is_ordered=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", KINDS)
def test_no_row_is_lost_or_doubled_by_kills_at_random(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'data.db'}" if name == "sqlite" else ""
    if name == "postgres":
        url = request.getfixturevalue("empty_postgres").url
    (tmp_path / "runs").mkdir()
    ways = KINDS[name].ways
    kind = replace(KINDS[name], ways=(ways[list(KINDS).index(name) % len(ways)],))  # another one for each
    report = StreamSoak(kind, tmp_path / "runs", seed=1, rows=ROWS, url=url).run(KILLS)
    assert report.violations == []
    assert report.kills["driver"] + report.kills["all"] == KILLS


@pytest.mark.parametrize("found", [[0, 1], [0, 1, 2, 3], [0, 1, 1, 2], [0, 1, 1]])
@pytest.mark.parametrize("way", [ORDERED, UNORDERED])
def test_the_check_of_rows_sees_what_is_lost_or_doubled(found: list[int], way: Way) -> None:
    with pytest.raises(AssertionError, match="lost"):
        expect([(n, "x", 2 * n) for n in range(3)], [(n, "x", 2 * n) for n in found], way)


def test_the_check_of_rows_asks_for_order_where_it_is_promised() -> None:
    rows = [(n, "x", 2 * n) for n in range(3)]
    expect(rows, rows[::-1], UNORDERED)
    with pytest.raises(AssertionError):
        expect(rows, rows[::-1], ORDERED)


@pytest.mark.parametrize(
    "changes",
    [{"item": {"id": "2"}}, {"row": 3}, {"start": 9}],
    ids=["another row", "another number", "another place"],
)
def test_the_check_of_letters_sees_a_wrong_one(changes: dict[str, Any], tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(b"id,text\n0,a\n1,b\n")
    letter = {"item": {"id": "1"}, "row": 2, "start": 12, "end": 16}
    check_letters(json.dumps(letter).encode(), source, [1], ORDERED)
    with pytest.raises(AssertionError):
        check_letters(json.dumps({**letter, **changes}).encode(), source, [1], ORDERED)
