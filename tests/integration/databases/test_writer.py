"""The same rows on every database: the same outcomes, by the same codes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from gristmill import BatchContext, Failed, batch
from gristmill.databases import BulkLoader, BulkWriter, Pool
from gristmill.errors import ConfigurationError, WriterClosed


class NewUser(msgspec.Struct):
    name: str | None
    email: str
    age: int | msgspec.UnsetType = msgspec.UNSET


class User(msgspec.Struct):
    id: int
    name: str
    email: str
    age: int


@dataclasses.dataclass
class Plain:
    name: str
    email: str


class Model(pydantic.BaseModel):
    name: str
    email: str


class Typed(TypedDict):
    name: str
    email: str


def codes(outcomes: list[Any]) -> list[Any]:
    return [each.code if isinstance(each, Failed) else "ok" for each in outcomes]


@pytest.mark.parametrize("kind", [NewUser, Plain, Model, Typed, dict])
async def test_rows_of_every_kind_come_back_with_the_ids_they_were_given(place: Any, kind: Any) -> None:
    rows = [kind(name=f"n{number}", email=f"e{number}") for number in range(7)]
    async with BulkWriter(place.url, "users") as writer:
        stored = await writer.insert(rows, returning=User)
    assert stored == [User(one.id, f"n{n}", f"e{n}", 18) for n, one in enumerate(stored)]
    assert await place.run("SELECT id, name, email FROM users ORDER BY email") == [
        (one.id, one.name, one.email) for one in stored
    ]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"name": None, "email": "x"}, "not_null_violation"),
        ({"email": "x"}, "not_null_violation"),
        ({"name": "x", "email": "taken"}, "unique_violation"),
        ({"name": "x", "email": "x", "age": -1}, "check_violation"),
        ({"name": "x", "email": "x", "team": 3}, "foreign_key_violation"),
        ({"name": "x", "email": "x", "age": "old"}, "type_mismatch"),
        ({"name": "x", "email": "x", "age": 2**63}, "number_out_of_range"),
        ({"name": "x", "email": "x\ud800"}, "type_mismatch"),
        ({"name": "x", "email": "x", "nope": 1}, "unknown_column"),
    ],
)
async def test_a_refused_row_fails_alone_by_the_same_code_everywhere(place: Any, row: Any, code: str) -> None:
    good = [{"name": "x", "email": f"good {number}", "age": 7, "team": 1} for number in range(8)]
    rows = [{"name": "first", "email": "taken"}, *good[:5], row, *good[5:]]
    async with BulkWriter(place.url, "users") as writer:
        stored = await writer.insert(rows, returning=("email",))
    assert codes(stored) == ["ok"] * 6 + [code] + ["ok"] * 3
    assert "secret" not in repr(stored)
    assert len(await place.run("SELECT email FROM users")) == 9


async def test_a_text_that_is_too_long_says_so_where_columns_have_lengths(postgres: Any) -> None:
    async with BulkWriter(postgres.url, "users") as writer:
        assert codes(
            await writer.insert([{"name": "x" * 21, "email": "a"}, {"name": "y", "email": "b"}])
        ) == [
            "string_too_long",
            "ok",
        ]


async def test_no_text_of_a_failure_shows_a_value(place: Any) -> None:
    rows = [
        {"name": "secret", "email": "secret"},
        {"name": "secret", "email": "secret"},
        {"name": "secret", "email": "b", "age": "secret"},
        {"name": "secret" * 9, "email": "c"},
        {"name": None, "email": "secret2"},
    ]
    async with BulkWriter(place.url, "users") as writer:
        stored = await writer.insert(rows)
    assert [each for each in stored if each is None] == [None]
    assert "secret" not in str([each for each in stored if each is not None])


async def test_of_two_rows_that_exclude_each_other_the_first_is_stored(place: Any) -> None:
    rows = [NewUser(f"n{number}", f"e{number % 10}") for number in range(30)]
    async with BulkWriter(place.url, "users") as writer:
        stored = await writer.insert(rows, returning=("name",))
    assert stored[:10] == [{"name": f"n{number}"} for number in range(10)]
    assert codes(stored[10:]) == ["unique_violation"] * 20


async def test_atomic_stores_all_or_nothing_and_names_every_bad_row(place: Any) -> None:
    rows = [NewUser("a", "a"), NewUser(None, "b"), NewUser("c", "a"), NewUser("d", "d")]
    async with BulkWriter(place.url, "users") as writer:
        stored = await writer.insert(rows, atomic=True)
        assert codes(stored) == ["rolled_back", "not_null_violation", "unique_violation", "rolled_back"]
        assert await place.run("SELECT * FROM users") == []
        assert await writer.insert(rows[:1] + rows[3:], atomic=True) == [None, None]
        mixed = [{"name": "e", "email": "e"}, {"nope": 1}]
        assert codes(await writer.insert(mixed, atomic=True)) == ["rolled_back", "unknown_column"]
    assert len(await place.run("SELECT * FROM users")) == 2


async def test_a_field_that_is_left_out_gets_the_default_and_order_is_kept_over_shapes(place: Any) -> None:
    rows = [NewUser("a", "a"), NewUser("b", "b", 7), NewUser("c", "c"), NewUser("d", "d", 8)]
    async with BulkWriter(place.url, "users") as writer:
        stored = await writer.insert(rows, returning=("name", "age"))
    assert [tuple(each.values()) for each in stored] == [("a", 18), ("b", 7), ("c", 18), ("d", 8)]


async def test_an_upsert_writes_the_last_row_of_a_key_and_answers_all_with_it(place: Any) -> None:
    async with BulkWriter(place.url, "users") as writer:
        first = await writer.insert([NewUser("old", "a"), NewUser("kept", "k")], returning=User)
        rows = [NewUser("one", "a"), NewUser("new", "b"), NewUser("two", "a"), NewUser("three", "a")]
        stored = await writer.upsert(rows, key=("email",), returning=User)
    assert [each.name for each in stored] == ["three", "new", "three", "three"]
    assert stored[0].id == stored[2].id == first[0].id
    assert dict(await place.run("SELECT email, name FROM users")) == {"a": "three", "b": "new", "k": "kept"}


async def test_items_of_one_key_with_other_columns_are_all_written(place: Any) -> None:
    async with BulkWriter(place.url, "pair") as writer:
        key = {"a": 1, "b": "x"}
        await place.run("ALTER TABLE pair ADD COLUMN m INTEGER")
        assert (
            await writer.upsert([{**key, "n": 1}, {**key, "m": 2}], returning=("n", "m"))
            == [{"n": 1, "m": 2}] * 2
        )
        assert (
            await writer.update([{**key, "m": 3}, {"n": 4, **key}], returning=("n", "m"))
            == [{"n": 4, "m": 3}] * 2
        )


async def test_an_upsert_sets_only_what_it_is_told_to(place: Any) -> None:
    async with BulkWriter(place.url, "users") as writer:
        await writer.insert([NewUser("old", "a", 5)])
        row = NewUser("new", "a", 6)
        only = await writer.upsert([row], key=("email",), update=("age",), returning=User)
        assert (only[0].name, only[0].age) == ("old", 6)
        none = await writer.upsert([NewUser("x", "a", 9)], key=("email",), update=(), returning=User)
        assert (none[0].name, none[0].age) == ("old", 6)


async def test_a_bad_row_of_an_upsert_or_an_update_fails_alone(place: Any) -> None:
    async with BulkWriter(place.url, "users") as writer:
        await writer.insert([NewUser(f"n{n}", f"e{n}", n) for n in range(9)])
        rows = [{"email": f"e{n}", "name": f"m{n}", "age": -1 if n == 4 else 50} for n in range(9)]
        assert (
            codes(await writer.upsert(rows, key=("email",))) == ["ok"] * 4 + ["check_violation"] + ["ok"] * 4
        )
        again = [{"email": f"e{n}", "age": -1 if n in (0, 8) else 60} for n in range(9)]
        found = await writer.update(again, key=("email",), returning=("age",))
    assert codes(found) == ["check_violation", *["ok"] * 7, "check_violation"]
    sixty = await place.run("SELECT email FROM users WHERE age = 60 ORDER BY email")
    assert sixty == [(f"e{n}",) for n in range(1, 8)]


async def test_updates_and_deletes_pair_with_their_items_and_miss_by_item(place: Any) -> None:
    async with BulkWriter(place.url, "users") as writer:
        ids = await writer.insert([NewUser(f"n{n}", f"e{n}") for n in range(6)], returning="id")
        rows = [
            {"id": ids[5], "name": "five"},
            {"id": 10**9, "name": "x"},
            {"id": ids[0], "name": "zero"},
            {"id": ids[5], "name": "5"},
        ]
        found = await writer.update(rows, returning=User)
        assert codes(found) == ["ok", "not_found", "ok", "ok"]
        assert [each.name for each in found if isinstance(each, User)] == ["5", "zero", "5"]
        gone = await writer.delete([ids[1], 10**9, ids[0], ids[1]], returning=("name",))
        assert gone == [{"name": "n1"}, gone[1], {"name": "zero"}, {"name": "n1"}]
        assert codes(gone) == ["ok", "not_found", "ok", "ok"]
        assert codes(await writer.delete([User(ids[2], "", "", 0), User(ids[2] + 10**6, "", "", 0)])) == [
            "ok",
            "not_found",
        ]
    assert await place.run("SELECT name FROM users ORDER BY id") == [("n3",), ("n4",), ("5",)]


async def test_keys_of_several_columns(place: Any) -> None:
    async with BulkWriter(place.url, "pair") as writer:
        assert await writer.upsert([{"a": 1, "b": "x", "n": 1}, {"a": 1, "b": "y", "n": 2}]) == [None, None]
        assert await writer.upsert([{"a": 1, "b": "x", "n": 3}], returning=("n",)) == [{"n": 3}]
        assert codes(await writer.delete([(1, "y"), (2, "y"), 7])) == ["ok", "not_found", "missing_key"]
        assert codes(await writer.update([{"a": 1, "n": 2}, {"a": 1, "b": "x"}])) == ["missing_key", "ok"]
    assert await place.run("SELECT * FROM pair") == [(1, "x", 3)]


async def test_the_columns_of_a_key_come_in_the_order_of_the_key(place: Any) -> None:
    await place.run(
        "CREATE TABLE seat (number INTEGER NOT NULL, shop INTEGER NOT NULL, PRIMARY KEY (shop, number))"
    )
    async with (
        BulkWriter(place.url, "seat") as seats,
        BulkLoader(place.url, "seat", returning=("shop", "number")) as loader,
    ):
        await seats.insert([{"shop": 1, "number": 2}, {"shop": 2, "number": 1}])
        assert await loader.load((1, 2)) == {"shop": 1, "number": 2}
        assert await seats.delete([(1, 2)]) == [None]
    assert await place.run("SELECT shop, number FROM seat") == [(2, 1)]


async def test_callers_of_a_handler_get_their_own_rows_of_one_batch(place: Any) -> None:
    async with BulkWriter(place.url, "users") as writer:

        @batch(max_size=500)
        async def create_users(users: list[NewUser], ctx: BatchContext) -> list[User | Failed]:
            return await writer.insert(users, returning=User, ctx=ctx)

        outcomes = await create_users.outcomes([NewUser(f"n{n}", f"e{n % 90}") for n in range(100)])
    assert [each.unwrap().name for each in outcomes[:90]] == [f"n{n}" for n in range(90)]
    assert {each.code for each in outcomes[90:]} == {"unique_violation"}


async def test_columns_choose_the_fields_that_are_stored(place: Any) -> None:
    class Wide(msgspec.Struct):
        name: str
        email: str
        password: str

    row = Wide("a", "a", "p")
    async with BulkWriter(place.url, "users") as writer:
        with pytest.raises(ConfigurationError, match=r"password; it has .*pass columns="):
            await writer.insert([row])
    async with BulkWriter(place.url, "users", columns=("name", "email")) as writer:
        assert await writer.insert([row]) == [None]


async def test_columns_that_come_and_go_are_noticed_in_the_same_batch(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.databases.storing._LOOK_AGAIN", 0.0)
    async with BulkWriter(place.url, "team") as writer:
        assert codes(await writer.insert([{"id": 3}, {"id": 4, "m": 1}])) == ["ok", "unknown_column"]
        await place.run("ALTER TABLE team ADD COLUMN m INTEGER")
        assert await writer.insert([{"id": 5, "m": 1}, {"id": 6}], returning=("id", "m")) == [
            {"id": 5, "m": 1},
            {"id": 6, "m": None},
        ]
        await place.run("ALTER TABLE team DROP COLUMN m")
        assert codes(await writer.insert([{"id": 7, "m": 1}, {"id": 8}])) == ["unknown_column", "ok"]
        with pytest.raises(ConfigurationError):
            await writer.insert([{"id": 9}], returning=("m",))
        await place.run("ALTER TABLE team RENAME TO gone")
        with pytest.raises(ConfigurationError, match="there is no table team"):
            await writer.insert([{"id": 9}])
        await place.run("ALTER TABLE gone RENAME TO team")
        assert codes(await writer.insert([{"id": 9}])) == ["ok"]
    assert {row[0] for row in await place.run("SELECT id FROM team")} == {1, 2, 3, 5, 6, 8, 9}


async def test_wrong_columns_make_nobody_ask_for_the_table_each_time(place: Any) -> None:
    async with BulkWriter(place.url, "team") as writer:
        assert codes(await writer.insert([{"id": 3}])) == ["ok"]
        before = writer.stats().round_trips
        for _ in range(3):
            assert codes(await writer.insert([{"m": 1}])) == ["unknown_column"]
        assert writer.stats().round_trips == before


async def test_writers_and_loaders_share_the_transaction_of_a_caller(place: Any) -> None:
    rows = [{"name": "a", "email": f"e{n % 3}"} for n in range(6)]
    async with (
        BulkWriter(place.url, "users") as users,
        BulkWriter(place.url, "pair") as pairs,
        BulkLoader(place.url, "team", returning="id") as teams,
        place.transaction() as connection,
        teams.within(connection) as within,
    ):
        found = await asyncio.gather(
            *(users.insert(rows[n::2], connection=connection) for n in range(2)),
            pairs.insert([{"a": 1, "b": "x"}, {"a": None, "b": "x"}], connection=connection, atomic=True),
            within.load(1),
        )
    assert Counter(codes([*found[0], *found[1]])) == {"ok": 3, "unique_violation": 3}
    assert codes(found[2]) == ["rolled_back", "not_null_violation"]
    assert found[3] == 1
    assert len(await place.run("SELECT id FROM users")) == 3
    assert await place.run("SELECT a FROM pair") == []


async def test_a_connection_without_a_transaction_is_read_from_and_not_written_to(place: Any) -> None:
    if place.kind == "sqlite":
        pytest.skip("SQLite begins one with a savepoint")
    async with (
        BulkWriter(place.url, "team") as writer,
        BulkLoader(place.url, "team", returning="id") as loader,
        place.transaction() as connection,
    ):
        if place.kind == "postgres":
            await connection.execute("ROLLBACK")
        else:
            await connection.rollback()
            await connection.autocommit(True)
        with pytest.raises(ConfigurationError, match="has no transaction open"):
            await writer.insert([{"id": 7}, {"id": 7}], connection=connection)
        async with loader.within(connection) as within:
            assert await within.load_many([1, 7]) == [1, None]
        if place.kind == "postgres":
            await connection.execute("BEGIN")


async def test_batches_that_are_cancelled_wait_no_longer(place: Any) -> None:
    async with BulkWriter(place.url, "pair") as writer:
        await writer.insert([{"a": 0, "b": "x"}])
        rows = [[{"a": turn * 1000 + n, "b": "y"} for n in range(500)] for turn in range(3)]
        tasks = [asyncio.ensure_future(writer.insert(each)) for each in rows]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError)
            for each in await asyncio.gather(*tasks, return_exceptions=True)
        )
        assert await writer.insert([{"a": 1, "b": "x"}]) == [None]
        assert (writer.stats().waiting, writer.stats().in_use) == (0, 0)


async def test_what_cannot_be_is_said_clearly(place: Any) -> None:
    async with BulkWriter(place.url, "nope") as writer:
        with pytest.raises(ConfigurationError, match="there is no table nope"):
            await writer.insert([{"a": 1}])
    async with BulkWriter(place.url, "users") as writer:
        with pytest.raises(
            ConfigurationError, match="columns of returning that the table users does not have: x"
        ):
            await writer.insert([{"name": "a"}], returning=("x",))
        with pytest.raises(ConfigurationError, match=r"columns of the key .* x"):
            await writer.upsert([{"name": "a"}], key=("x",))
        with pytest.raises(ConfigurationError, match="a sequence of columns"):
            await writer.upsert([{"name": "a"}], key="email")
        assert await writer.insert([]) == []
    with pytest.raises(WriterClosed):
        await writer.insert([{"name": "a", "email": "a"}])


async def test_a_pool_is_shared_and_stays_open(place: Any) -> None:
    async with Pool(place.url, size=3, name="main") as pool:
        async with BulkWriter(pool, "users") as users, BulkWriter(pool, "pair") as pairs:
            await asyncio.gather(
                *(users.insert([NewUser("n", f"e{n}")]) for n in range(9)), pairs.insert([{"a": 1, "b": ""}])
            )
        async with BulkWriter(pool, "users") as users:
            assert await users.insert([NewUser("n", "e")]) == [None]
        stats = pool.stats()
    assert stats.name == "main"
    assert (stats.in_use, stats.waiting) == (0, 0)
    assert stats.acquired >= 11
    assert 1 <= stats.open <= stats.size
