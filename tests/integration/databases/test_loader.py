"""Rows by their keys, with as few queries as there can be."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from gristmill import Failed
from gristmill.databases import BulkLoader, BulkWriter
from gristmill.errors import ConfigurationError, ItemFailed, ItemMissing


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


@pytest.mark.parametrize("bad", [b"\xff", "\ud800", "nul\0", object(), 2**70])
async def test_a_key_that_no_row_can_have_fails_or_misses_alone(stored: Any, bad: Any) -> None:
    """Which of the two depends on the database: SQLite and MariaDB compare whatever they are given."""
    for column, keys in (("id", [3, bad, 5]), ("email", ["e3", bad, "e5"])):
        async with BulkLoader(stored.url, "users", key=column, returning="name") as users:
            found = await users.load_many(keys)
        assert (found[0], found[2]) == ("n3", "n5")
        assert found[1] is None or found[1].code in {"type_mismatch", "number_out_of_range"}  # type: ignore[union-attr]


async def test_keys_that_no_row_can_have_are_told_by_postgres(postgres: Any) -> None:
    async with BulkWriter(postgres.url, "users") as writer:
        await writer.insert([{"name": f"n{n}", "email": f"e{n}"} for n in range(1, 21)])
    async with BulkLoader(postgres.url, "users", returning="name") as users:
        found = await users.load_many([1, "x", 2, 2**70, 20, None])
        assert [each.code if isinstance(each, Failed) else each for each in found] == [
            "n1", "type_mismatch", "n2", "number_out_of_range", "n20", None,
        ]  # fmt: skip
        with pytest.raises(ItemFailed) as caught:
            await users.load("x")
        assert (caught.value.code, caught.value.retryable) == ("type_mismatch", False)


async def test_a_key_that_is_refused_leaves_the_transaction_of_the_caller_alone(postgres: Any) -> None:
    import asyncpg  # noqa: PLC0415 - only here

    connection = await asyncpg.connect(postgres.url)
    async with (
        BulkWriter(postgres.url, "users") as writer,
        BulkLoader(postgres.url, "users", key="email", returning="name") as users,
        connection.transaction(),
    ):
        await writer.insert([{"name": "a", "email": "a"}], connection=connection)
        inside = users.within(connection)
        found = await inside.load_many(["a", "nul\0"])
        await inside.aclose()
        assert found[0] == "a"
        assert await connection.fetchval("SELECT count(*) FROM users") == 1
    await connection.close()


async def test_a_null_is_the_value_of_a_row_that_is_there(stored: Any) -> None:
    async with BulkLoader(stored.url, "users", returning="team", missing="error") as users:
        assert await users.load_many([1]) == [None]


async def test_a_table_that_is_altered_is_looked_at_again(postgres: Any) -> None:
    await postgres.run("CREATE TABLE thing (id integer, n integer); INSERT INTO thing VALUES (1, 2)")
    async with BulkLoader(postgres.url, "thing", key="id", returning="n") as things:
        assert await things.load(1) == 2
        await postgres.run("ALTER TABLE thing ALTER id TYPE text; UPDATE thing SET id = 'a'")
        assert await things.load("a") == 2


async def test_other_keys_and_keys_of_several_columns(stored: Any) -> None:
    async with BulkLoader(stored.url, "users", key="email", returning=User) as users:
        assert await asyncio.gather(users.load("e3"), users.load("x")) == [User(3, "n3"), None]
    async with BulkWriter(stored.url, "pair") as pairs:
        await pairs.insert([{"a": a, "b": b, "n": a} for a in (1, 2) for b in "xy"])
    async with BulkLoader(stored.url, "pair", returning=("n",)) as loader:
        keys = [(1, "y"), (2, "z"), [2, "x"], 7]
        assert await loader.load_many(keys) == [{"n": 1}, None, {"n": 2}, None]
        assert await loader.load([2, "x"]) == {"n": 2}
        with pytest.raises(ConfigurationError, match="a key is a value, or a tuple of them, and not dict"):
            await loader.load({"a": 1, "b": "y"})


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
        forms = [key, str(key), str(key).upper(), key.hex]
        assert await things.load_many(forms) == [{"n": 1}] * 4


async def test_what_cannot_be_is_said_clearly(place: Any) -> None:
    with pytest.raises(ConfigurationError, match="missing is"):
        BulkLoader(place.url, "users", returning=User, missing="what")  # type: ignore[call-overload]
    async with BulkLoader(place.url, "nope", returning=User) as users:
        with pytest.raises(Exception, match="there is no table nope") as caught:
            await users.load(1)
        assert isinstance(caught.value.__cause__, ConfigurationError)
