"""The document of the queue is played as a newcomer would, and names every command and option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from gristmill.cli.commands import app

TEXT = (Path(__file__).parents[2] / "docs" / "queue.md").read_text()
BIN = Path(sys.executable).parent
ID = re.compile(r"job_[0-9A-Z]{26}")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], str]:
    """Run a line in a folder with the App of the document, and return what it says on stdout."""
    (tmp_path / "mails.py").write_text(blocks("python")[0])
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "GRISTMILL_APP": "mails:app", "PYTHONPATH": str(tmp_path)}

    def run(line: str) -> str:
        return subprocess.run(  # noqa: S602 - lines of our own document
            line,
            shell=True,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=30,
            check=True,
        ).stdout

    return run


def test_the_commands_work_as_they_are_shown(shell: Callable[[str], str], tmp_path: Path) -> None:
    job = ""
    for block in blocks("console"):
        for part in block.removeprefix("$ ").split("\n$ "):
            line, _, shown = part.partition("\n")
            if line.startswith("gristmill work"):
                said = _work(tmp_path, line, shell, job)
                assert _words(said) == _words(shown)
                continue
            said = shell(ID.sub(job, line))
            job = job or "".join(ID.findall(said))
            if shown:
                assert said == ID.sub(job, shown)


def _words(line: str) -> str:
    """Return what a worker says first, without the version and its name."""
    return line[line.index("works") : line.index(" as ")]


def _work(folder: Path, line: str, shell: Callable[[str], str], job: str) -> str:
    """Run a worker until *job* is final, and return its first line."""
    name, *words = line.split()
    worker = subprocess.Popen([BIN / name, *words], cwd=folder, stdout=subprocess.PIPE)
    try:
        assert worker.stdout is not None
        said = worker.stdout.readline().decode()
        shell(f"gristmill jobs results {job} --follow")
    finally:
        worker.terminate()
        assert worker.wait(timeout=30) == 0
        if worker.stdout is not None:
            worker.stdout.close()
    return said


def test_the_program_works(shell: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(blocks("python")[1])
    assert shell("python program.py").endswith("['sent to ada@example.org', 'no address']\n")


def test_every_command_of_the_queue_and_each_of_its_options_is_named() -> None:
    commands: Any = typer.main.get_command(app)
    jobs = commands.get_command(None, "jobs").commands
    missing = [name for name in jobs if f"gristmill jobs {name} " not in TEXT.replace("`", " ")]
    assert missing == ["resume"]  # it stands beside pause
    told = [*(commands.get_command(None, each) for each in ("work", "migrate")), *jobs.values()]
    options = {each.opts[0] for command in told for each in command.params if not _is_hidden(each)}
    assert [option for option in options if option.startswith("--") and option not in TEXT] == []


def _is_hidden(parameter: Any) -> bool:
    return bool(getattr(parameter, "hidden", False))


def test_the_options_of_a_queue_work_as_they_are_shown(tmp_path: Path) -> None:
    code = blocks("python")[2].replace("sqlite:///ledger.db", f"sqlite:///{tmp_path / 'ledger.db'}")
    played = (
        code
        + """
import asyncio
import apsw

async def main() -> None:
    await app.jobs.open()
    connection = apsw.Connection(FILE)
    connection.execute("CREATE TABLE entry (amount INTEGER)")
    job = await app.enqueue(book, [5, 6, 7])
    await app.jobs.start()
    print((await job.wait(10)).counts.succeeded, sorted(connection.execute("SELECT amount FROM entry")))
    await app.jobs.stop()

asyncio.run(main())
""".replace("FILE", repr(str(tmp_path / "ledger.db")))
    )
    (tmp_path / "ledger.py").write_text(played)
    said = subprocess.run(
        [sys.executable, "ledger.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert said == "3 [(5,), (6,), (7,)]\n"
