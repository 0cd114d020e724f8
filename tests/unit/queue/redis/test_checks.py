"""Servers that keep jobs, that lose them, and that do not tell."""

from __future__ import annotations

import pytest

from gristmill.errors import StoreMisconfigured
from gristmill.queue.redis.checks import check, durability, server_from

INFO = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1}
CONFIG = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}


def test_a_server_that_keeps_jobs_is_taken_without_a_word() -> None:
    assert check(server_from(INFO, CONFIG), is_unsafe=False) == []


def test_each_answer_alone_is_enough() -> None:
    assert check(server_from(INFO, {}), is_unsafe=False) == []
    assert check(server_from({}, CONFIG), is_unsafe=False) == []


def test_what_nobody_tells_is_for_the_log() -> None:
    doubts = check(server_from({}, {}), is_unsafe=False)
    assert len(doubts) == 2
    assert "maxmemory-policy is noeviction" in doubts[0]
    assert "appendonly is yes" in doubts[1]


@pytest.mark.parametrize(
    ("info", "config", "text"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, {}, "set maxmemory-policy to noeviction"),
        ({}, {"maxmemory-policy": "volatile-ttl"}, "set maxmemory-policy to noeviction"),
        ({"aof_enabled": 0}, {}, "set appendonly to yes"),
        ({}, {"appendonly": "no"}, "set appendonly to yes"),
    ],
)
def test_a_server_that_loses_jobs_is_refused_unless_that_is_wanted(
    info: dict[str, object], config: dict[str, str], text: str
) -> None:
    server = server_from(info, config)
    with pytest.raises(StoreMisconfigured, match=text) as caught:
        check(server, is_unsafe=False)
    assert "?unsafe=true" in str(caught.value)
    assert any(text in doubt for doubt in check(server, is_unsafe=True))


def test_an_old_server_is_refused() -> None:
    with pytest.raises(StoreMisconfigured, match=r"Redis 6\.2\.14; 7 or newer"):
        check(server_from({"redis_version": "6.2.14"}, CONFIG), is_unsafe=True)


@pytest.mark.parametrize(
    ("fsync", "text"),
    [
        ("always", "append-only file, fsync on every write"),
        ("everysec", "append-only file, fsync every second"),
        ("no", "append-only file, fsync when the system likes"),
    ],
)
def test_durability_tells_when_the_file_is_on_disk(fsync: str, text: str) -> None:
    server = server_from(INFO, {**CONFIG, "appendfsync": fsync})
    assert durability(server, waits_for_file=False) == text
    waiting = durability(server, waits_for_file=True)
    assert waiting == "append-only file, fsync before an enqueue is acknowledged"


def test_durability_without_a_word_of_fsync_says_less() -> None:
    assert durability(server_from(INFO, {}), waits_for_file=False) == "append-only file"


def test_durability_of_an_unsafe_server_says_why() -> None:
    text = durability(
        server_from({"aof_enabled": 0, "maxmemory_policy": "allkeys-lru"}, {}), waits_for_file=False
    )
    assert text.startswith("memory only (unsafe: it throws jobs away")
