"""Runs on every engine end alike: rows, columns, tables, failures, deaths, limits and resumption."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gristmill.streams.engines.inline import Inline
from gristmill.streams.engines.local import LocalPool
from gristmill.streams.engines.protocol import Engine
from gristmill.streams.engines.ray import RayEngine
from gristmill.streams.options import RunOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report
from gristmill.streams.stopping import Stopping

pytestmark = pytest.mark.timeout(120)

ROWS = 1200
ENGINES: dict[str, Callable[[], Engine]] = {
    "inline": Inline,
    "local": lambda: LocalPool(2),
    "ray": lambda: RayEngine(workers=2),
}

Go = Callable[..., Report]


@pytest.fixture(params=ENGINES)
def go(request: pytest.FixtureRequest, mill: Any) -> Go:
    """What runs a handler of mill.py or another module, on each engine, in small chunks."""
    if request.param == "ray":
        request.getfixturevalue("local_ray")

    return partial(run_on, ENGINES[request.param])


def run_on(
    engine: Callable[[], Engine],
    reference: str,
    source: str,
    sink: str,
    *,
    watch: Any = None,
    stopping: Any = None,
    **options: Any,
) -> Report:
    module, _, name = reference.rpartition(":")
    handler = getattr(importlib.import_module(module or "mill"), name)
    settings = {"chunk_bytes": 1500, "commit_seconds": 0.0, **options}
    pipeline = Pipeline(source, handler, sink, options=RunOptions(**settings))
    return pipeline.run(engine(), watch=watch, stopping=stopping)


def write(mill: Any, texts: dict[int, str] | None = None) -> None:
    texts = texts or {}
    lines = [
        f'{number},"{texts.get(number, f"row {number}")}",{number / 4},{texts.get(number, "x")}\n'
        for number in range(ROWS)
    ]
    mill.write("in.csv", "id,text,amount,note\n" + "".join(lines))


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["id"]) for row in rows]


@pytest.mark.parametrize("ordered", [True, False])
def test_rows_come_out_once_and_failed_ones_are_letters_with_their_place(
    go: Go, mill: Any, *, ordered: bool
) -> None:
    write(mill)
    report = go("odd", "in.csv", "out.csv", ordered=ordered)
    found, letters = ids(mill.read()), mill.letters()
    failed = [int(each["item"]["id"]) for each in letters]
    assert (found if ordered else sorted(found)) == list(range(1, ROWS, 2))
    assert (failed if ordered else sorted(failed)) == list(range(0, ROWS, 2))
    assert (report.counts.read, report.counts.failed) == (ROWS, ROWS // 2)
    text = (mill.folder / "in.csv").read_bytes()
    for each, number in zip(letters, failed, strict=True):
        assert text[each["start"] : each["end"]].startswith(b"%d," % number)
        assert (each["code"], each["stage"], each["attempts"]) == ("even", "handler", 1)
        assert not ordered or each["row"] == number + 1


def test_a_batch_that_raises_is_halved_until_the_guilty_row_is_alone(go: Go, mill: Any) -> None:
    write(mill, {100: "poison", 700: "poison"})
    go("poisoned", "in.csv", "out.csv")
    assert ids(mill.read()) == [number for number in range(ROWS) if number not in (100, 700)]
    assert [(each["row"], each["stage"]) for each in mill.letters()] == [(101, "handler"), (701, "handler")]


def test_columns_are_given_and_taken(go: Go, mill: Any) -> None:
    write(mill)
    go("column_mill:gross", "in.csv", "out.parquet")
    found = pq.read_table(mill.folder / "out.parquet").to_pylist()
    assert ids(found) == list(range(ROWS))
    assert [row["gross"] for row in found[:3]] == [0.0, 0.3, pytest.approx(0.6, abs=0.011)]


def test_columnar_batches_that_raise_are_halved_too(go: Go, mill: Any) -> None:
    write(mill, {100: "poison", 700: "poison"})
    go("column_mill:poisoned", "in.csv", "out.ndjson")
    lines = (mill.folder / "out.ndjson").read_text().splitlines()
    assert ids(list(map(json.loads, lines))) == [number for number in range(ROWS) if number not in (100, 700)]
    assert [each["row"] for each in mill.letters("out.ndjson.dead.ndjson")] == [101, 701]


@pytest.mark.parametrize("handler", ["anything", "column_mill:same"])
def test_no_row_more_than_the_limit_is_read(go: Go, mill: Any, handler: str) -> None:
    write(mill)
    report = go(handler, "in.csv", "out.csv", limit=130)
    assert ids(mill.read()) == list(range(130))
    assert report.counts.read == 130


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.csv.gz"])
@pytest.mark.parametrize("handler", ["odd", "column_mill:same"])
def test_a_run_that_is_cut_off_after_a_commit_goes_on_there(
    go: Go, mill: Any, handler: str, name: str
) -> None:
    write(mill)
    run_on(Inline, handler, "in.csv", f"whole-{name}")  # which all engines have in common
    seen: list[int] = []

    def watch(report: Report) -> None:
        seen.append(report.counts.read)
        if report.counts.read:
            raise Cut

    with pytest.raises(Cut):
        go(handler, "in.csv", name, watch=watch)
    assert 0 < seen[-1] < ROWS
    assert go(handler, "in.csv", name).counts.read == ROWS
    assert content(mill, name) == content(mill, f"whole-{name}")


class Cut(BaseException):
    """Ends a run as a kill does: nothing more is committed."""


def content(mill: Any, name: str) -> tuple[Any, bytes]:
    path: Path = mill.folder / name
    letters = path.with_name(f"{name}.dead.ndjson")
    dead = letters.read_bytes() if letters.exists() else b""
    if name.endswith(".parquet"):
        return pq.read_table(path), dead
    return (gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()), dead


def test_a_run_that_is_asked_to_stop_ends_what_is_under_way_and_goes_on_later(go: Go, mill: Any) -> None:
    write(mill)
    stopping = Stopping(grace=60)

    def watch(report: Report) -> None:
        if report.counts.read:
            stopping.ask()

    first = go("odd", "in.csv", "out.csv", watch=watch, stopping=stopping)
    assert not first.is_done
    assert go("odd", "in.csv", "out.csv").is_done
    assert ids(mill.read()) == list(range(1, ROWS, 2))


def test_a_table_gets_each_row_once_and_what_it_refuses_is_a_letter(go: Go, mill: Any, sqlite: Any) -> None:
    write(mill)
    sqlite.sql("CREATE TABLE t (id integer PRIMARY KEY CHECK (id <> 500), text text, amount real, note text)")
    go("anything", "in.csv", sqlite.table("t"), dead_letter="dead.ndjson")
    assert [row[0] for row in sqlite.sql("SELECT id FROM t ORDER BY id")] == [
        number for number in range(ROWS) if number != 500
    ]
    assert [(each["row"], each["stage"]) for each in mill.letters("dead.ndjson")] == [(501, "sink")]


@pytest.mark.parametrize("go", ["local", "ray"], indirect=True)
@pytest.mark.parametrize("handler", ["deadly", "column_mill:deadly"])
def test_a_row_that_kills_its_worker_is_found_and_no_other_is_blamed(go: Go, mill: Any, handler: str) -> None:
    write(mill, {333: "kill"})
    report = go(handler, "in.csv", "out.csv")
    assert ids(mill.read()) == [number for number in range(ROWS) if number != 333]
    ((letter),) = mill.letters()
    assert (letter["row"], letter["code"], letter["stage"]) == (334, "crashed", "crash")
    assert report.deaths >= 3
