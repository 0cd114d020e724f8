"""``dead``, ``redrive`` and ``queues``."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_dead_are_shown_by_code(shop: Any) -> None:
    job = shop.done(["a", "x", "x"])
    shop.now += 60
    header, line = shop.run("dead").stdout.splitlines()
    assert header.split() == ["HANDLER", "CODE", "DEAD", "LAST", "ERROR"]
    assert line.split() == ["mails", "bad", "2", "1m", "no", "?[31mx"]
    assert [group["items"] for group in shop.json("dead", "--job", job, "--code", "bad")["dead"]] == [2]
    assert shop.json("dead", "--handler", "numbers") == {"dead": []}
    assert shop.run("dead", "--code", "other").stderr == "no dead items\n"


def test_redrive_asks_with_the_count(shop: Any) -> None:
    job = shop.done(["x", "xx"])
    result = shop.run("redrive", input="n\n")
    assert result.exit_code == 1
    assert "Let 2 dead items run again? [y/N]" in result.stderr
    assert "nothing was redriven; --yes does it without asking" in result.stderr
    assert shop.run("redrive", input="").exit_code == 1
    assert shop.job(job).counts.failed == 2
    result = shop.run("redrive", input="y\n")
    assert result.exit_code == 0
    assert result.stdout.endswith("2 dead items run again\n")
    assert shop.job(job).counts.failed == 0


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ((), 2),
        (("--code", "bad"), 2),
        (("--code", "other"), 0),
        (("--handler", "numbers"), 0),
        (("--job", "{job}"), 1),
        (("--before", "2027-01-15T08:00:00+00:00"), 0),
        (("--before", "2027-01-15T08:00:00.5+00:00"), 1),
        (("--before", "1d"), 0),
    ],
)
def test_redrive_takes_what_matches(shop: Any, words: tuple[str, ...], count: int) -> None:
    job = shop.done(["x"])
    shop.now += 1
    shop.done(["x"])
    chosen = [word.format(job=job) for word in words]
    assert shop.json("redrive", "--yes", *chosen) == {"redriven": count}


def test_without_dead_items_redrive_asks_nothing(shop: Any) -> None:
    result = shop.run("redrive")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "0 dead items run again\n", "")


def test_a_time_that_is_none_is_refused(shop: Any) -> None:
    result = shop.run("redrive", "--before", "yesterday")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'yesterday' is no time: write 2026-01-31" in result.stderr


def test_queues_say_where_items_are(shop: Any) -> None:
    assert shop.run("queues").stderr == "no queues\n"
    shop.done(["x"])
    shop.enqueue(["a", "b"])
    shop.enqueue(["c"], delay=60)
    shop.run("pause", "numbers")
    shop.now += 30
    header, *lines = shop.run("queues").stdout.splitlines()
    assert header.split() == ["HANDLER", "READY", "SCHEDULED", "BLOCKED", "RUNNING", "DEAD", "OLDEST"]
    assert [line.split() for line in lines] == [
        ["mails", "2", "1", "0", "0", "1", "30s"],
        ["numbers", "0", "0", "0", "0", "0", "paused"],
    ]
    assert shop.json("queues")["queues"][0] == {
        "handler": "mails",
        "paused": False,
        "ready": 2,
        "scheduled": 1,
        "blocked": 0,
        "running": 0,
        "dead": 1,
        "oldest_age_s": 30.0,
    }
