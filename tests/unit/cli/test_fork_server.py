from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from pathlib import Path

import pytest

from gristmill.cli.fork_server import start_fork_server, wants_arrow


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None]]:
    """What is preloaded, and the threads of numpy's library, each time a fork server is started."""
    found: list[tuple[list[str], str | None]] = []
    wanted: list[str] = []

    def ensure() -> None:
        found.append((wanted[:], os.environ.get("OPENBLAS_NUM_THREADS")))

    monkeypatch.setattr(multiprocessing, "set_forkserver_preload", wanted.extend)
    monkeypatch.setattr(forkserver, "ensure_running", ensure)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    return found


@pytest.mark.parametrize(
    "arguments", [[], ["serve", "a:app"], ["run", "--help"], ["run", "a:b", "--dry-run", "x.csv"]]
)
def test_what_begins_no_run_starts_nothing(
    started: list[tuple[list[str], str | None]], arguments: list[str]
) -> None:
    start_fork_server(arguments)
    assert not started


def test_a_run_starts_it_with_one_thread_for_numpy_and_leaves_the_environment_alone(
    started: list[tuple[list[str], str | None]], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("import json")
    start_fork_server(["run", f"{tmp_path}/a.py:b", "in.csv", "-o", "out.csv"])
    ((preload, threads),) = started
    assert "gristmill.streams.worker.column_start" not in preload
    assert threads == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_number_of_threads_that_is_set_stays(
    started: list[tuple[list[str], str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    start_fork_server(["run", "a:b", "in.parquet"])
    ((preload, threads),) = started
    assert "gristmill.streams.worker.column_start" in preload
    assert (threads, os.environ["OPENBLAS_NUM_THREADS"]) == ("7", "7")


def test_arrow_is_likely_where_the_module_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import pyarrow as pa")
    (tmp_path / "package" / "rows.py").write_text("import json")
    (tmp_path / "columns.py").write_text("from pyarrow import compute")
    for target in ("columns.py:f", "columns:f", "package:f", f"{tmp_path}/columns.py:f"):
        assert wants_arrow(["run", target, "in.csv"]), target
    for target in ("package.rows:f", "missing:f", "missing.py:f", ":f", "nothing"):
        assert not wants_arrow(["run", target, "in.csv"]), target


@pytest.mark.parametrize("name", ["in.parquet", "IN.ARROW", "x/*.feather"])
def test_arrow_is_likely_for_its_own_files(name: str) -> None:
    assert wants_arrow(["run", "missing:f", name])
    assert not wants_arrow(["run", "missing:f", name + ".csv"])


def test_what_workers_of_columns_need_can_be_loaded_alone() -> None:
    __import__("gristmill.streams.worker.column_start")
