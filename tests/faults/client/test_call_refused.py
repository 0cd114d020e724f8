"""``gristmill call`` and a server that takes nothing: no row is to blame for that."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ports import free_port

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
ROWS = 20


def first(fault: str, times: int) -> Callable[[], str]:
    left = [fault] * times
    return lambda: left.pop() if left else "good"


async def called(folder: Path, url: str, *words: str) -> tuple[int | None, str]:
    (folder / "in.ndjson").write_text("".join(f"{number}\n" for number in range(ROWS)))
    command = ["call", url, "users", "in.ndjson", "-o", "out.ndjson", *words]
    process = await asyncio.create_subprocess_exec(
        GRISTMILL, *command, cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_rows_that_a_full_server_does_not_take_are_sent_until_it_does(
    misbehave: Any, tmp_path: Path
) -> None:
    server = await misbehave(first("laden", 5))
    server.is_marked = True
    code, said = await called(tmp_path, server.url)
    assert code == 0, said
    assert [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()] == [*range(ROWS)]
    assert set(server.done.values()) == {1}


async def test_a_server_that_stays_full_ends_the_run_and_fails_no_row(misbehave: Any, tmp_path: Path) -> None:
    server = await misbehave(lambda: "laden")
    server.is_marked = True
    code, said = await called(tmp_path, server.url, "--patience", "1")
    assert code == 75, said
    assert "is full" in said
    assert not (tmp_path / "out.ndjson.dead.ndjson").exists()


async def test_a_server_that_refuses_the_caller_is_not_worth_another_run(
    misbehave: Any, tmp_path: Path
) -> None:
    server = await misbehave(lambda: "barred")
    server.is_marked = True
    code, said = await called(tmp_path, server.url)
    assert code == 1, said
    assert "403: not you" in said


async def test_a_server_that_is_not_there_yet_is_worth_another_run(tmp_path: Path) -> None:
    code, said = await called(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert code == 75, said
    assert len(said.splitlines()) == 1
