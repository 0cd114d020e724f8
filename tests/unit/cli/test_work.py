from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

from gristmill import App, batch
from gristmill.errors import StoreVersion
from gristmill.queue.memory.store import MemoryStore


def served(**options: Any) -> App:
    """Return an App whose batch stops the process that runs it."""

    @batch(name="last")
    async def last(items: list[int]) -> list[int]:
        os.kill(os.getpid(), signal.SIGTERM)
        return items

    return App(handlers=[last], **options)


def test_it_says_what_it_works_and_ends_with_0(shop: Any, gristmill: Any) -> None:
    sys.modules["shop_once"].__dict__["app"] = shop.app = served(store=shop.store)
    job = shop.enqueue([1, 2], "last")
    result = gristmill("work", "shop_once:app", "--name", "me")
    assert result.exit_code == 0
    assert result.stdout.startswith("gristmill ")
    assert result.stdout.endswith(" works last in memory:// as me\n")
    assert "memory:// is in this process" in result.stderr
    assert shop.job(job).counts.succeeded == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("shop_once:app", "--queues", "mails,nope"),
            "there is no handler 'nope'; there are: mails, numbers",
        ),
        (("shop_once:app", "--queues", ","), "--queues names no handler"),
        (("shop_once:empty",), "this App has no handlers: there is no queue to work"),
        (("shop_once:bare",), 'this App has no store; give one: App(..., store="sqlite:///gristmill.db")'),
        (("shop_once:nope",), "shop_once has no 'nope'"),
    ],
)
def test_what_cannot_be_worked_is_one_line(gristmill: Any, words: tuple[str, ...], text: str) -> None:
    result = gristmill("work", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_store_of_a_newer_version_is_refused(shop: Any, gristmill: Any) -> None:
    class Newer(MemoryStore):
        url = "test://"

        async def open(self) -> None:
            raise StoreVersion("a newer Gristmill wrote it")

    sys.modules["shop_once"].__dict__["app"] = served(store=Newer())
    result = gristmill("work", "shop_once:app")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "gristmill: error: a newer Gristmill wrote it\n"


@pytest.mark.parametrize("words", [("--grace", "-1"), ("--processes", "0"), ("--log-level", "loud")])
def test_options_out_of_range_are_refused(gristmill: Any, words: tuple[str, str]) -> None:
    assert gristmill("work", "shop_once:app", *words).exit_code == 2
