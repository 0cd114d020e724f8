"""What MariaDB does otherwise; skipped where none is installed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import aiomysql
import pytest

from gristmill import Failed
from gristmill.databases import BulkWriter, Pool
from gristmill.databases.mysql.backend import options_of
from gristmill.errors import ConfigurationError

MIB = 1 << 20


@contextlib.asynccontextmanager
async def own(url: str) -> AsyncIterator[Any]:
    """Yield a connection of the test's own."""
    connection = await aiomysql.connect(**options_of(url), autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def codes(outcomes: list[Any]) -> list[Any]:
    return [each.code if isinstance(each, Failed) else "ok" for each in outcomes]


async def test_a_batch_larger_than_the_server_takes_goes_in_parts_and_a_row_that_is_fails_alone(
    mariadb: Any,
) -> None:
    await mariadb.run("CREATE TABLE doc (id INTEGER PRIMARY KEY, body LONGTEXT)")
    sizes = [6, 6, 17, 6]
    rows = [{"id": number, "body": "x" * (size * MIB)} for number, size in enumerate(sizes)]
    async with BulkWriter(mariadb.url, "doc") as writer:
        assert codes(await writer.insert(rows)) == ["ok", "ok", "too_big", "ok"]
        assert codes(await writer.insert([{"id": 9, "body": "\u20ac" * (6 * MIB)}])) == ["too_big"]
    assert await mariadb.run("SELECT id, LENGTH(body) FROM doc ORDER BY id") == [
        (0, 6 * MIB), (1, 6 * MIB), (3, 6 * MIB),
    ]  # fmt: skip


async def test_a_statement_that_waits_too_long_is_given_up(mariadb: Any) -> None:
    pool = Pool(mariadb.url, command_timeout=0.2)
    async with pool, BulkWriter(pool, "users") as writer, own(mariadb.url) as other:
        assert codes(await writer.insert([{"name": "a", "email": "a"}])) == ["ok"]
        async with other.cursor() as cursor:
            await cursor.execute("LOCK TABLES users WRITE")
            stored = await writer.insert([{"name": "b", "email": "b"}])
            await cursor.execute("UNLOCK TABLES")
        assert [(each.code, each.retryable) for each in stored] == [("database_unavailable", True)]
        assert codes(await writer.insert([{"name": "c", "email": "c"}])) == ["ok"]
        assert pool.stats().in_use == 0


async def test_connections_that_the_server_ended_cost_no_item(mariadb: Any) -> None:
    pool = Pool(mariadb.url)
    async with pool, BulkWriter(pool, "users") as writer, own(mariadb.url) as other:
        await writer.insert([{"name": "a", "email": "a"}])
        async with other.cursor() as cursor:
            await cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()")
            for (number,) in await cursor.fetchall():
                with contextlib.suppress(aiomysql.MySQLError):
                    await cursor.execute(f"KILL {number}")
        assert codes(await writer.insert([{"name": "b", "email": "b"}])) == ["ok"]


async def test_a_pool_that_has_none_to_give_says_so(mariadb: Any) -> None:
    pool = Pool(mariadb.url, size=2, acquire_timeout=0.1)
    async with pool, BulkWriter(pool, "users") as writer:
        await writer.insert([{"name": "a", "email": "a"}])
        held = [await pool.backend._acquired() for _ in range(2)]  # type: ignore[attr-defined]  # noqa: SLF001 - all that there are
        before = pool.stats().timeouts
        stored = await writer.insert([{"name": "b", "email": "b"}])
        for owner, connection in held:
            owner.release(connection)
        assert [(each.code, each.retryable) for each in stored] == [("pool_timeout", True)]
        assert pool.stats().timeouts == before + 1


async def test_generated_columns_are_not_written_and_defaults_may_be(mariadb: Any) -> None:
    await mariadb.run(
        "CREATE TABLE g (id INTEGER PRIMARY KEY AUTO_INCREMENT, a INTEGER, twice INTEGER AS (a * 2) STORED, "
        "at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))"
    )
    async with BulkWriter(mariadb.url, "g") as writer:
        stored = await writer.insert([{"a": 2}, {"a": 3}], returning=("id", "twice"))
        assert stored == [{"id": 1, "twice": 4}, {"id": 2, "twice": 6}]
        assert codes(await writer.insert([{"a": 1, "twice": 2}])) == ["unknown_column"]
        assert codes(await writer.insert([{"a": 1, "at": "2024-01-02 03:04:05.678"}])) == ["ok"]


async def test_values_that_the_driver_cannot_write_fail_alone(mariadb: Any) -> None:
    await mariadb.run("CREATE TABLE t (n DOUBLE, b VARBINARY(9))")
    values = [
        {"n": 1.5},
        {"n": float("nan")},
        {"n": float("inf")},
        {"b": bytearray(b"ab")},
        {"b": memoryview(b"c")},
    ]
    async with BulkWriter(mariadb.url, "t") as writer:
        stored = await writer.insert(values)
        assert writer.stats().lost == 0
    assert [each and each.code for each in stored] == [None, "type_mismatch", "type_mismatch", None, None]
    assert await mariadb.run("SELECT b FROM t WHERE b IS NOT NULL ORDER BY b") == [(b"ab",), (b"c",)]


async def test_a_signal_of_a_trigger_refuses_its_row_whatever_number_it_gives(mariadb: Any) -> None:
    await mariadb.run("CREATE TABLE t (n INT)")
    async with own(mariadb.url) as connection, connection.cursor() as cursor:
        await cursor.execute(
            "CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW BEGIN IF NEW.n % 2 = 1 THEN "
            "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001; END IF; END"
        )
    async with BulkWriter(mariadb.url, "t") as writer:
        stored = await writer.insert([{"n": n} for n in range(4)])
    assert [each and each.code for each in stored] == [None, "constraint_violation"] * 2


@pytest.mark.parametrize("returns", [True, False])
async def test_an_upsert_answers_with_the_row_that_a_collation_finds(
    mariadb: Any, monkeypatch: pytest.MonkeyPatch, *, returns: bool
) -> None:
    if not returns:  # as MySQL has none
        monkeypatch.setattr("gristmill.databases.mysql.session.Session.returns", False)
    async with BulkWriter(mariadb.url, "users") as writer:
        await writer.insert([{"name": "a", "email": "Ann@x"}, {"name": "b", "email": "Bob@x"}])
        rows = [
            {"name": "c", "email": "ann@X"},
            {"name": "d", "email": "Bob@x"},
            {"name": "e", "email": "new"},
        ]
        found = await writer.upsert(rows, key=("email",), returning=("name", "email"))
    assert [each["name"] for each in found] == ["c", "d", "e"]
    assert await mariadb.run("SELECT name FROM users ORDER BY name") == [("c",), ("d",), ("e",)]


async def test_an_upsert_answers_with_what_was_rounded_or_numbered(mariadb: Any) -> None:
    await mariadb.run("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, d DECIMAL(9, 2) UNIQUE, n INT)")
    async with BulkWriter(mariadb.url, "t") as writer:
        rounded = await writer.upsert([{"d": Decimal("1.001"), "n": 1}], key=("d",), returning=("d", "n"))
        numbered = await writer.upsert([{"id": None, "n": 2}], returning=("id", "n"))
    assert rounded == [{"d": Decimal("1.00"), "n": 1}]
    assert numbered == [{"id": 2, "n": 2}]


async def test_a_server_without_returning_says_so(mariadb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.databases.mysql.session.Session.returns", False)
    async with BulkWriter(mariadb.url, "users") as writer:
        with pytest.raises(ConfigurationError, match="MySQL has no RETURNING"):
            await writer.insert([{"name": "a", "email": "b"}], returning="id")


async def test_times_with_an_offset_are_stored_in_utc(mariadb: Any) -> None:
    await mariadb.run("CREATE TABLE t (id INT PRIMARY KEY, at DATETIME)")
    at = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=5)))
    plain = at.replace(tzinfo=None)
    async with BulkWriter(mariadb.url, "t") as writer:
        stored = await writer.insert([{"id": 1, "at": at}, {"id": 2, "at": plain}], returning="at")
    assert stored == [plain - timedelta(hours=5), plain]
