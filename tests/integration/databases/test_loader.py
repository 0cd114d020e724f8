"""Rows by their keys, with as few queries as there can be."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from gristmill import Failed
from gristmill.databases import BulkLoader, BulkWriter
from gristmill.errors import ConfigurationError, ItemMissing


class User(msgspec.Struct):
    id: int
    name: str


@pytest.fixture
async def stored(place: Any) -> Any:
    async with BulkWriter(place.url, "users") as writer:
        await writer.insert([{"name": f"n{n}", "email": f"e{n}"} for n in range(1, 21)])
    return place


async def test_calls_of_the_same_moment_are_one_query_of_distinct_keys(stored: Any) -> None:
    async with BulkLoader(stored.url, "users", returning=User) as users:
        await users.load(1)  # looks at the table
        before = users.stats().round_trips
        found = await asyncio.gather(*(users.load(n % 25) for n in range(100)))
        assert users.stats().round_trips - before == 1
    assert found[:3] == [None, User(1, "n1"), User(2, "n2")]
    assert found[21] is None
    assert found[25:50] == found[:25]


async def test_a_missing_row_is_none_or_an_error_of_its_own(stored: Any) -> None:
    async with BulkLoader(stored.url, "users", returning=("name",)) as users:
        assert await users.load_many([2, 99, 1]) == [{"name": "n2"}, None, {"name": "n1"}]
    async with BulkLoader(stored.url, "users", returning=("name",), missing="error") as users:
        with pytest.raises(ItemMissing, match="no such row in users"):
            await users.load(99)
        found = await users.load_many([2, 99])
        assert found[0] == {"name": "n2"}
        assert isinstance(found[1], Failed)
        assert found[1].code == "not_found"


async def test_other_keys_and_keys_of_several_columns(stored: Any) -> None:
    async with BulkLoader(stored.url, "users", key="email", returning=User) as users:
        assert await asyncio.gather(users.load("e3"), users.load("x")) == [User(3, "n3"), None]
    async with BulkWriter(stored.url, "pair") as pairs:
        await pairs.insert([{"a": a, "b": b, "n": a} for a in (1, 2) for b in "xy"])
    async with BulkLoader(stored.url, "pair", returning=("n",)) as loader:
        assert await loader.load_many([(1, "y"), (2, "z"), (2, "x"), 7]) == [{"n": 1}, None, {"n": 2}, None]


async def test_a_cache_is_kept_only_when_asked_for_and_until_it_is_told_to_forget(stored: Any) -> None:
    async with BulkLoader(stored.url, "users", returning=User, cache=2) as users:
        assert [await users.load(n) for n in (1, 2, 1, 3)] == [User(n, f"n{n}") for n in (1, 2, 1, 3)]
        await stored.run("UPDATE users SET name = 'new' WHERE id > 0")
        assert await users.load_many([1, 2, 3]) == [User(1, "n1"), User(2, "new"), User(3, "n3")]
        users.forget(1)
        assert await users.load(1) == User(1, "new")
        users.forget()
        assert await users.load(3) == User(3, "new")


async def test_within_a_transaction_it_sees_what_was_written_there(postgres: Any) -> None:
    import asyncpg  # noqa: PLC0415 - only here

    connection = await asyncpg.connect(postgres.url)
    async with (
        BulkWriter(postgres.url, "users") as writer,
        BulkLoader(postgres.url, "users", returning=User) as users,
        connection.transaction(),
    ):
        await writer.insert([{"name": "a", "email": "a"}], connection=connection)
        inside = users.within(connection)
        assert await asyncio.gather(inside.load(1), inside.load(2)) == [User(1, "a"), None]
        await inside.aclose()
        assert await users.load(1) is None
    await connection.close()


async def test_uuids_are_found_by_objects_and_by_text(postgres: Any) -> None:
    await postgres.run("CREATE TABLE thing (id uuid PRIMARY KEY, n integer); SELECT 1")
    key = uuid.uuid4()
    async with BulkWriter(postgres.url, "thing") as writer:
        await writer.insert([{"id": key, "n": 1}])
    async with BulkLoader(postgres.url, "thing", returning=("n",)) as things:
        assert await things.load_many([key, str(key)]) == [{"n": 1}, {"n": 1}]


async def test_what_cannot_be_is_said_clearly(place: Any) -> None:
    with pytest.raises(ConfigurationError, match="missing is"):
        BulkLoader(place.url, "users", returning=User, missing="what")  # type: ignore[call-overload]
    async with BulkLoader(place.url, "nope", returning=User) as users:
        with pytest.raises(Exception, match="there is no table nope") as caught:
            await users.load(1)
        assert isinstance(caught.value.__cause__, ConfigurationError)
