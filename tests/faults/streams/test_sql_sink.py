"""Processes that die, are paused or lose their server while they write to a table: each row is there once."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gristmill.streams.options import RunOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report
from gristmill.streams.sql.opening import sql_sink

KILLS = int(os.environ.get("GRISTMILL_KILLS", "8"))
"""How often the process of each kind of database is killed."""
ROWS = 8000

pytestmark = pytest.mark.timeout(300 + 4 * KILLS)


def kind(number: int) -> str:
    if number % 83 == 0:
        return "unwanted"
    if number % 97 == 0:
        return "twice"
    return "nameless" if number % 89 == 0 else "good"


def rows() -> list[dict[str, Any]]:
    return [
        {
            "id": 1 if kind(number) == "twice" else number,
            "name": None if kind(number) == "nameless" else f"person {number}",
            "kind": kind(number),
        }
        for number in range(1, ROWS + 1)
    ]


def write(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


CODES = {"unwanted": "unwanted", "twice": "unique_violation", "nameless": "not_null_violation"}


def check(database: Any, table: str, dead: Path) -> None:
    good = [number for number in range(1, ROWS + 1) if kind(number) == "good"]
    found = database.sql(f"SELECT id FROM {table} ORDER BY id")  # noqa: S608 - our own name
    assert [each[0] for each in found] == good
    letters = [json.loads(line) for line in dead.read_text().splitlines()]
    bad = [number for number in range(1, ROWS + 1) if kind(number) != "good"]
    assert [each["row"] for each in letters] == bad
    assert [each["code"] for each in letters] == [CODES[kind(number)] for number in bad]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_is_killed_again_and_again_writes_each_row_once(
    database: Any, start: Any, tmp_path: Path, workers: int
) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)  # noqa: T201 - shown when the test fails
    draw = random.Random(seed)
    source = write(tmp_path / "rows.ndjson", rows())
    wanted = KILLS if workers == 0 else KILLS // 4  # pools are slow to start
    kills = attempt = 0
    while kills < wanted:
        attempt += 1
        table, dead = f"t{attempt}", tmp_path / f"dead{attempt}.ndjson"
        database.sql(f"CREATE TABLE {table} (id bigint PRIMARY KEY, name text NOT NULL)")
        while True:
            writer = start(source, f"{database.url}#{table}", dead, workers, 0.02, 0)
            if kills < wanted:
                ticks = draw.randrange(1, 16)
                while ticks and writer.line() not in (None, "done"):
                    ticks -= 1
                until = time.perf_counter() + draw.uniform(0, 0.01)
                while time.perf_counter() < until:
                    pass  # the instant of the kill is drawn, not waited for
                writer.kill()
            code = writer.end()
            kills += code != 0
            if "done" in writer.lines:
                break
            assert code in (0, -signal.SIGKILL), writer.lines
        check(database, table, dead)
    assert kills == wanted


def test_a_run_from_table_to_table_survives_kills(database: Any, start: Any, tmp_path: Path) -> None:
    database.sql("CREATE TABLE people (id bigint PRIMARY KEY, name text, kind text)")
    values = ", ".join(f"({number}, 'person {number}', 'good')" for number in range(1, ROWS + 1))
    database.sql(f"INSERT INTO people VALUES {values}")  # noqa: S608 - our own numbers
    database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)")
    draw = random.Random(7)
    while True:
        writer = start(f"{database.url}#people", f"{database.url}#t", tmp_path / "dead", 0, 0.02, 0)
        ticks = draw.randrange(1, 12)
        while ticks and writer.line() not in (None, "done"):
            ticks -= 1
        writer.kill()
        assert writer.end() in (0, -signal.SIGKILL), writer.lines
        if "done" in writer.lines:
            break

    assert database.sql("SELECT id FROM t ORDER BY id") == database.sql("SELECT id FROM people ORDER BY id")


def test_a_paused_process_can_commit_nothing_once_another_has_gone_on(
    database: Any, start: Any, tmp_path: Path
) -> None:
    good = [row for row in rows() if row["kind"] == "good"]
    source = write(tmp_path / "rows.ndjson", good)
    database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)")
    words = (source, f"{database.url}#t", tmp_path / "dead.ndjson", 0, 0.5)
    old = start(*words, 4)
    os.waitid(os.P_PID, old.process.pid, os.WSTOPPED | os.WNOWAIT)

    new = start(*words, 0)
    assert new.end() == 0, new.lines
    old.process.send_signal(signal.SIGCONT)

    assert old.end() == 1
    assert old.lines[-1].startswith("SinkTaken another process has gone on")
    assert database.sql("SELECT id FROM t ORDER BY id") == [(row["id"],) for row in good]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The handler of ``table_writer.py``, for a run in this process."""
    spec = importlib.util.spec_from_file_location("table_writer", Path(__file__).with_name("table_writer.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "table_writer", module)
    spec.loader.exec_module(module)
    return module.tidy


def test_a_server_that_restarts_holds_a_run_up_and_nothing_more(
    own_server: Any, tmp_path: Path, handler: Any
) -> None:
    source = write(tmp_path / "rows.ndjson", rows())
    own_server.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)")
    sink = sql_sink(f"{own_server.url}#t")
    sink.commit_seconds = 0.05
    restarts: list[threading.Thread] = []
    ticks = 0

    def watch(report: Report) -> None:
        nonlocal ticks
        ticks += 1
        if ticks in (2, 5):
            own_server.stop()
            restarts.append(threading.Thread(target=own_server.start))
            restarts[-1].start()

    options = RunOptions(workers=0, dead_letter=str(tmp_path / "dead.ndjson"))
    Pipeline(str(source), handler, sink, options=options).run(watch=watch)

    for each in restarts:
        each.join()
    assert len(restarts) == 2
    check(own_server, "t", tmp_path / "dead.ndjson")


def test_a_server_that_stays_away_ends_the_run_which_goes_on_later(
    own_server: Any, tmp_path: Path, handler: Any
) -> None:
    source = write(tmp_path / "rows.ndjson", rows())
    own_server.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)")
    options = RunOptions(workers=0, dead_letter=str(tmp_path / "dead.ndjson"))
    sink = sql_sink(f"{own_server.url}#t", deadline=0.1)
    sink.commit_seconds = 0.05
    ticks = 0

    def watch(report: Report) -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 5:
            own_server.stop()

    with pytest.raises(OSError, match="Run the same command again"):
        Pipeline(str(source), handler, sink, options=options).run(watch=watch)
    own_server.start()
    Pipeline(str(source), handler, f"{own_server.url}#t", options=options).run()

    check(own_server, "t", tmp_path / "dead.ndjson")
