"""``gristmill call`` as people run it: files through a handler of a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import running
from tests.ports import free_port

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
ROWS = 20_000


def command(server: Any, handler: str, *words: str) -> list[str]:
    return [GRISTMILL, "call", f"http://127.0.0.1:{server.port}", handler, *words]


def called(folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=240)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_of_csv_become_what_the_handler_takes(uvicorn_server: Any, tmp_path: Path) -> None:
    rows = [*(f"t{number},{number / 2}" for number in range(1000)), "missing,1", "heavy,no number", "light,"]
    (tmp_path / "in.csv").write_text("\n".join(["text,weight", *rows]) + "\n")
    done = called(tmp_path, command(uvicorn_server, "models", "in.csv", "-o", "out.ndjson"))
    assert done.returncode == 3, done.stderr
    expected = [{"text": f"t{number}", "weight": number / 2} for number in range(1000)]
    assert lines(tmp_path / "out.ndjson") == [*expected, {"text": "light", "weight": 1.0}]
    dead = lines(tmp_path / "out.ndjson.dead.ndjson")
    assert [(each["row"], each["code"]) for each in dead] == [(1001, "not_found"), (1002, "invalid_item")]
    assert dead[0]["message"] == "no such text"


def test_lines_of_json_go_as_they_are(uvicorn_server: Any, tmp_path: Path) -> None:
    items = [{"a": "36"}, {"a": [1, None]}, {"b": 1.0}]
    (tmp_path / "in.ndjson").write_text("".join(json.dumps(item) + "\n" for item in items))
    done = called(tmp_path, command(uvicorn_server, "anything", "in.ndjson", "-o", "out.ndjson"))
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path / "out.ndjson") == items


def test_results_go_to_stdout_where_no_file_is_named(uvicorn_server: Any, tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_text('{"a":1}\n{"a":2}\n')
    done = called(tmp_path, command(uvicorn_server, "anything", "in.ndjson"))
    assert (done.returncode, done.stdout) == (0, '{"a":1}\n{"a":2}\n'), done.stderr


@pytest.mark.parametrize("words", [[], ["-o", "-"], ["-o", "out.ndjson", "--overwrite"]])
def test_what_cannot_be_resumed_is_refused(uvicorn_server: Any, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "in.ndjson").write_text('{"a":1}\n')
    done = called(tmp_path, command(uvicorn_server, "anything", "in.ndjson", "--resume", *words))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--resume needs a file" in done.stderr


def test_killed_and_run_again_it_ends_as_if_nothing_had_happened(uvicorn_server: Any, tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_text("".join(f'{{"n":{number}}}\n' for number in range(ROWS)))
    words = command(uvicorn_server, "anything", "in.ndjson", "-o", "out.ndjson", "--batch-size", "20")
    words += ["--concurrency", "2", "--resume"]
    for _ in range(4):
        process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
        output, before = tmp_path / "out.ndjson", _size(tmp_path)
        while process.poll() is None and (not output.exists() or _size(tmp_path) == before):
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = called(tmp_path, words)
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path / "out.ndjson") == [{"n": number} for number in range(ROWS)]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_server_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_text("".join(f'{{"n":{number}}}\n' for number in range(ROWS)))
    with running("uvicorn") as server:
        port = server.port
        words = command(server, "anything", "in.ndjson", "-o", "out.ndjson", "--batch-size", "50")
        process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not any(tmp_path.glob("out.ndjson*")):
            time.sleep(0.01)
    assert process.poll() is None
    with running("uvicorn", "served_app:app", port=port):
        _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert lines(tmp_path / "out.ndjson") == [{"n": number} for number in range(ROWS)]


@pytest.mark.parametrize("is_there", [False, True])
def test_what_cannot_begin_says_why(uvicorn_server: Any, tmp_path: Path, *, is_there: bool) -> None:
    (tmp_path / "in.ndjson").write_text("1\n")
    words = command(uvicorn_server, "nobody", "in.ndjson", "-o", "out.ndjson")
    if not is_there:
        words[2] = f"http://127.0.0.1:{free_port()}"
    done = called(tmp_path, words)
    assert done.returncode == (1 if is_there else 75)
    assert ("404 not_found" if is_there else "no connection to") in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out.ndjson").exists()


def test_a_server_that_stays_away_ends_the_run_and_keeps_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_text("".join(f'{{"n":{number}}}\n' for number in range(ROWS)))
    with running("uvicorn") as server:
        words = command(server, "anything", "in.ndjson", "-o", "out.ndjson", "--batch-size", "50")
        process = subprocess.Popen(
            [*words, "--patience", "1"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None and not any(tmp_path.glob("out.ndjson*")):
            time.sleep(0.01)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 75, said
    assert "run the same command to go on" in said
    assert not (tmp_path / "out.ndjson.dead.ndjson").exists() or not lines(
        tmp_path / "out.ndjson.dead.ndjson"
    )
    with running("uvicorn", port=server.port):
        done = called(tmp_path, words)
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path / "out.ndjson") == [{"n": number} for number in range(ROWS)]
