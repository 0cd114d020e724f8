"""``gristmill run`` in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gristmill.cli.main import app as command

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ran:
    """What a command left behind.

    Attributes:
        code: Its exit code.
        said: What it wrote to standard error.
        out: What it wrote to standard output.
    """

    code: int
    said: str
    out: bytes


class Mill:
    """Runs commands in a folder.

    Attributes:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start ``gristmill run`` with *words*, of which the first is a handler of mill.py."""
        handler, *others = words
        return subprocess.Popen(
            [sys.executable, "-m", "gristmill.cli", "run", f"mill:{handler}", *others, "--progress", "none"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, *words: str, text: bytes | None = None) -> Ran:
        """Run the command to its end, with *text* on its standard input."""
        process = self.start(*words, stdin=subprocess.DEVNULL if text is None else subprocess.PIPE)
        out, said = process.communicate(text, timeout=50)
        return Ran(process.returncode, said.decode(), out)

    def end(self, *words: str, code: int = 0) -> str:
        """Run the command with two workers, check its exit code, and return what it said."""
        ran = self.run(*words, "--workers", "2")
        assert ran.code == code, ran.said
        assert "Traceback" not in ran.said
        return ran.said

    def go(self, *words: str, code: int = 0) -> str:
        """Run the command in this process, check its exit code, and return what it said."""
        handler, *others = words
        line = ["run", f"mill:{handler}", *others, "--workers", "0", "--progress", "none"]
        found = CliRunner(env={"COLUMNS": "200"}).invoke(command, line, catch_exceptions=False)
        assert found.exit_code == code, found.stderr
        return found.stderr

    def read(self, name: str = "out.csv") -> list[dict[str, str]]:
        """Return the rows of a CSV file."""
        text = (self.folder / name).read_bytes().decode()
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    def letters(self, name: str = "out.csv.dead.ndjson") -> list[dict[str, Any]]:
        """Return the dead letters of a run; none if there is no file."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def mill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mill:
    """A folder to run commands in, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))
    return Mill(tmp_path)
