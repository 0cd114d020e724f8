"""A run that is killed at any instant and run again ends as if nothing had happened."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

KILLS = int(os.environ.get("GRISTMILL_KILLS", "8"))
ROWS = 12_000
PACE = ["--workers", "2", "--chunk-bytes", "4096", "--commit-seconds", "0.05"]
BAD = 97
"""As in mill.py: every so many rows one fails."""

Rows: TypeAlias = list[tuple[int, int]]

pytestmark = pytest.mark.timeout(300 + 4 * KILLS)


def from_csv(path: Path) -> Rows:
    with path.open(newline="") as file:
        return [(int(row["id"]), int(row["double"])) for row in csv.DictReader(file, strict=True)]


def from_ndjson(path: Path) -> Rows:
    return [(int(row["id"]), row["double"]) for row in map(json.loads, path.read_text().splitlines())]


def from_gzip(path: Path) -> Rows:
    with gzip.open(path, "rt", newline="") as file:
        return [(int(row["id"]), int(row["double"])) for row in csv.DictReader(file, strict=True)]


KINDS: dict[str, tuple[str, list[str], Callable[[Path], Rows]]] = {
    "csv": ("out.csv", [], from_csv),
    "csv, unordered": ("out.csv", ["--unordered"], from_csv),
    "csv, gzip": ("out.csv.gz", [], from_gzip),
    "ndjson": ("out.ndjson", [], from_ndjson),
}


def make_input(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for number in range(ROWS):
            writer.writerow([number, "two\nlines, quoted" if number % 7 == 0 else f"row {number}"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_is_lost_or_doubled_by_kills_at_random(kind: str, tmp_path: Path, hammer: Any) -> None:
    name, options, read = KINDS[kind]
    make_input(tmp_path / "in.csv")
    chance = random.Random(f"{kind} {os.environ.get('GRISTMILL_SEED', '1')}")
    kills = 0
    while kills < KILLS:
        for each in tmp_path.glob("out*"):
            each.unlink()
        blows = hammer(
            tmp_path,
            ["mill:slow", "in.csv", "-o", name, *PACE, *options],
            chance,
        )
        blows.until_done(KILLS - kills)
        kills += blows.kills
        check(tmp_path, tmp_path / name, read, is_ordered="--unordered" not in options)


def check(folder: Path, output: Path, read: Callable[[Path], Rows], *, is_ordered: bool) -> None:
    good = [number for number in range(ROWS) if number % BAD]
    found = read(output)
    assert (found if is_ordered else sorted(found)) == [(number, 2 * number) for number in good]
    letters: list[dict[str, Any]] = [
        json.loads(line) for line in output.with_name(output.name + ".dead.ndjson").read_text().splitlines()
    ]
    ids = [int(letter["item"]["id"]) for letter in letters]
    assert (ids if is_ordered else sorted(ids)) == [number for number in range(ROWS) if number % BAD == 0]
    if is_ordered:
        assert [letter["row"] for letter in letters] == [number + 1 for number in ids]
    text = (folder / "in.csv").read_bytes()
    for letter, number in zip(letters, ids, strict=True):
        assert text[letter["start"] : letter["end"]].startswith(b"%d," % number)
    assert sorted(each.name for each in folder.glob("out*")) == sorted(
        [output.name, output.name + ".dead.ndjson", output.name + ".journal"]
    )
