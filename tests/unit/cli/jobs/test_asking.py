from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gristmill.cli.commands import app as command
from gristmill.cli.jobs.asking import ask
from gristmill.errors import StoreMisconfigured, StoreUnavailable
from gristmill.queue.service import Jobs


def test_the_app_may_come_from_the_environment(shop: Any) -> None:
    shop.enqueue(["a"])
    result = CliRunner(env={"GRISTMILL_APP": "shop_once:app"}).invoke(command, ["jobs", "list"])
    assert result.exit_code == 0
    assert "mails" in result.stdout


def test_without_app_and_store_the_ways_are_told(gristmill: Any) -> None:
    result = gristmill("jobs", "list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--app module:app (or GRISTMILL_APP=module:app), or --store URL" in result.stderr


def test_a_store_needs_no_app_and_knows_no_handler(gristmill: Any) -> None:
    assert gristmill("jobs", "list", "--store", "memory://").stderr == "no jobs\n"
    assert gristmill("jobs", "pause", "anything", "--store", "memory://").exit_code == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--app", "shop_once:bare"), "this App has no store"),
        (("--app", "shop_once:nope"), "shop_once has no 'nope'"),
        (("--app", "nowhere_at_all:app"), "there is no module 'nowhere_at_all'"),
        (("--store", "mysql://me:secret@host/x"), "not 'mysql://me:***@host/x'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(gristmill: Any, words: tuple[str, str], text: str) -> None:
    result = gristmill("jobs", "list", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_looking_makes_no_file(gristmill: Any, tmp_path: Path) -> None:
    result = gristmill("jobs", "list", "--store", "sqlite:///nope.db")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "gristmill: error: sqlite:///nope.db does not exist; the first job makes it\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("error", "code"), [(StoreUnavailable("away"), 1), (StoreMisconfigured("odd"), 2)])
def test_errors_of_the_store_are_one_line(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    async def fails(_jobs: Jobs) -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        ask(None, "memory://", fails)
    assert caught.value.code == code
    assert capsys.readouterr().err == f"gristmill: error: {error}\n"


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    async def waits(_jobs: Jobs) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(typer.Exit) as caught:
        ask(None, "memory://", waits)
    assert caught.value.exit_code == 130
    assert capsys.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGINT) is before
