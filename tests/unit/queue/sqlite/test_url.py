from __future__ import annotations

from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError, StoreMisconfigured
from gristmill.queue.sqlite.database import check_version, path_of
from gristmill.queue.sqlite.store import SqliteStore


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/queue.db", Path("/var/lib/queue.db")),
        ("sqlite:////var/lib/a b?c#d%20.db", Path("/var/lib/a b?c#d%20.db")),
        ("sqlite:///queue.db", Path("queue.db").absolute()),
        ("sqlite:///data/queue.db", Path("data/queue.db").absolute()),
    ],
)
def test_a_url_names_a_file(url, path):
    assert path_of(url) == path


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite://queue.db", "sqlite:queue.db", "sqlite:///:memory:", "queue.db"],
)
def test_a_url_without_a_file_is_refused(url):
    with pytest.raises(ConfigurationError, match="a SQLite store is sqlite:///relative"):
        SqliteStore(url)


async def test_a_relative_file_stays_where_it_was_named(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("sqlite:///queue.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    await store.open()
    await store.close()
    assert (tmp_path / "queue.db").exists()


async def test_a_folder_that_does_not_exist_is_named(tmp_path):
    store = SqliteStore(f"sqlite:///{tmp_path}/none/queue.db")
    with pytest.raises(ConfigurationError, match=f"create it first: {tmp_path}/none"):
        await store.open()
    await store.close()


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2"])
def test_a_sqlite_that_loses_commits_is_refused(version):
    with pytest.raises(StoreMisconfigured, match="WAL-reset"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_later_ones_are_not(version):
    check_version(version)


def test_a_store_shows_where_it_is():
    store = SqliteStore("sqlite:////var/queue.db")
    assert repr(store) == "SqliteStore('sqlite:////var/queue.db')"
    assert (store.url, store.durability) == ("sqlite:////var/queue.db", "fsync on commit")
