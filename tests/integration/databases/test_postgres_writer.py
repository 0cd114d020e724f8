"""What PostgreSQL is asked, statement by statement, and its types, triggers and deferred constraints."""

from __future__ import annotations

import enum
import math
import random
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Self

import asyncpg
import msgspec
import pytest

from gristmill import Failed
from gristmill.databases import BulkWriter
from gristmill.errors import ConfigurationError


class NewUser(msgspec.Struct):
    name: str | None
    email: str


def codes(outcomes: list[Any]) -> list[Any]:
    return [each.code if isinstance(each, Failed) else "ok" for each in outcomes]


def about_rows(asked: list[str]) -> list[str]:
    return [each for each in asked if each.startswith(("INSERT", "UPDATE", "DELETE", "WITH"))]


async def test_a_batch_without_a_bad_row_is_one_round_trip(postgres: Any, watched_pool: Any) -> None:
    writer = BulkWriter(watched_pool, "users")
    await writer.insert([NewUser("first", "first")])  # looks at the table
    postgres.asked.clear()
    assert len(await writer.insert([NewUser("n", f"{n}") for n in range(500)], returning=("id",))) == 500
    assert len(about_rows(postgres.asked)) == 1
    assert not [each for each in postgres.asked if each.startswith(("BEGIN", "SAVEPOINT", "COMMIT"))]


@pytest.mark.parametrize("bad", [1, 3, 10])
async def test_k_bad_rows_of_n_cost_k_log_n_round_trips(postgres: Any, watched_pool: Any, bad: int) -> None:
    count = 1000
    writer = BulkWriter(watched_pool, "users")
    await writer.insert([NewUser("first", "first")])
    places = set(random.Random(bad).sample(range(count), bad))
    rows = [NewUser(None if n in places else "n", f"e{n}") for n in range(count)]
    postgres.asked.clear()
    before = writer.stats().round_trips
    stored = await writer.insert(rows, returning=("email",))
    assert [n for n, each in enumerate(stored) if isinstance(each, Failed)] == sorted(places)
    assert [each["email"] for each in stored if isinstance(each, dict)] == [
        f"e{n}" for n in range(count) if n not in places
    ]
    statements = len(about_rows(postgres.asked))
    # Binary splitting: at most one failed try a level and a bad row, plus as many that succeed.
    assert statements <= 2 * bad * math.ceil(math.log2(count / bad) + 1) + 1
    assert writer.stats().round_trips - before <= 2 * statements + 4
    assert statements >= bad


async def test_values_that_cannot_be_encoded_cost_no_round_trip_of_their_own(
    postgres: Any, watched_pool: Any
) -> None:
    writer = BulkWriter(watched_pool, "users", columns=("name", "email"))
    await writer.insert([NewUser("first", "first")])
    postgres.asked.clear()
    rows = [NewUser(7 if n == 300 else "n", f"e{n}") for n in range(512)]  # type: ignore[arg-type]
    stored = await writer.insert(rows, returning=("id",))
    assert codes(stored) == ["ok"] * 300 + ["type_mismatch"] + ["ok"] * 211
    assert str(stored[300].error) == "name has a value of the wrong type"
    assert not [each for each in postgres.asked if each.startswith("ROLLBACK TO")]


async def test_all_rows_bad_is_an_answer_too(postgres: Any) -> None:
    async with BulkWriter(postgres.url, "users") as writer:
        assert (
            codes(await writer.insert([NewUser(None, f"e{n}") for n in range(64)]))
            == ["not_null_violation"] * 64
        )


@pytest.mark.parametrize("count", [1, 2, 99, 100, 10_001])
@pytest.mark.parametrize("returning", [None, ("email",)])
async def test_every_form_stores_every_row_in_its_order(postgres: Any, count: int, returning: Any) -> None:
    async with BulkWriter(postgres.url, "users") as writer:
        for turn in range(3):  # the same size again: VALUES, where that is faster
            rows = [NewUser("n", f"{turn} {n}") for n in range(count)]
            stored = await writer.insert(rows, returning=returning)
            assert stored == [None if returning is None else {"email": f"{turn} {n}"} for n in range(count)]
    found = await postgres.run("SELECT email FROM users ORDER BY id")
    assert found == [(f"{turn} {n}",) for turn in range(3) for n in range(count)]


async def test_a_bad_row_among_many_that_go_by_copy(postgres: Any) -> None:
    rows = [NewUser("x" * 30 if n in (7, 4000) else "n", f"{n % 4999}") for n in range(5000)]
    async with BulkWriter(postgres.url, "users") as writer:
        stored = await writer.insert(rows)
        assert codes([stored[7], stored[4000], stored[4999]]) == [
            "string_too_long",
            "string_too_long",
            "unique_violation",
        ]
        assert (
            codes(await writer.insert([NewUser(3 if n == 50 else "n", f"x{n}") for n in range(200)])).count(
                "ok"
            )
            == 199
        )  # type: ignore[arg-type]
    assert len(await postgres.run("SELECT FROM users")) == 4997 + 199


async def test_what_parts_values_in_a_copy_may_be_in_them(postgres: Any) -> None:
    await postgres.run("CREATE TABLE t (id serial, name text, age bigint, is_in boolean);")
    hostile = [
        "a\tb",
        "\\N",
        "\\.",
        "line\nend\r\n",
        "\\",
        "\\t",
        "",
        " ",
        "ü\u2028\U0001f600",
        "\x01\x7f",
        None,
    ]
    names = [hostile[n % len(hostile)] for n in range(4_000)] + ["plain"] * 2_499 + ["return\r"]
    rows = [
        {"name": name, "age": None if n % 7 == 0 else n - 3_000, "is_in": [True, False, None][n % 3]}
        for n, name in enumerate(names)
    ]
    async with BulkWriter(postgres.url, "t") as writer:
        assert await writer.insert(rows) == [None] * len(rows)
        assert writer.stats().round_trips <= 3
    stored = await postgres.run("SELECT name, age, is_in FROM t ORDER BY id")
    assert stored == [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("others", [[], ["\x1f"], [None], ["\x1e", None]])
@pytest.mark.parametrize("count", [1, 2, 300])
async def test_what_parts_values_that_are_joined_may_be_in_them(
    postgres: Any, others: list[str | None], count: int
) -> None:
    await postgres.run("CREATE TABLE t (id bigserial PRIMARY KEY, n bigint, name varchar(40), doc jsonb);")
    names = [*["", "plain", "\\N", "ü\U0001f600"], *others]
    rows = [
        {"n": n * 10**15, "name": names[n % len(names)], "doc": {"a": names[n % len(names)]}}
        for n in range(count)
    ]
    async with BulkWriter(postgres.url, "t") as writer:
        ids = await writer.insert(rows, returning="id")
        stored = await writer.insert(rows, returning=("n", "name", "doc"))
        assert stored == rows
        changed = [{"id": each, "name": f"{each} {row['name']}"} for each, row in zip(ids, rows, strict=True)]
        answers = await writer.update(changed[::-1], returning=("id", "name"))
        assert answers == changed[::-1]
        assert await writer.delete(ids) == [None] * count
        keyed = [{"id": -n - 1, "name": row["name"], "n": n} for n, row in enumerate(rows)]
        for _ in range(2):
            assert await writer.upsert(keyed, returning=("id", "name", "n")) == keyed
    assert await postgres.run("SELECT count(*) FROM t") == [(2 * count,)]


async def test_a_copy_as_text_goes_another_way_where_a_late_value_has_none(postgres: Any) -> None:
    await postgres.run("CREATE TABLE t (id serial, name text);")
    names: list[Any] = ["plain"] * 4_999 + [uuid.UUID(int=7)]
    async with BulkWriter(postgres.url, "t") as writer:
        assert await writer.insert([{"name": name} for name in names]) == [None] * 5_000
        assert await writer.insert([{"name": name} for name in names]) == [None] * 5_000
    stored = await postgres.run("SELECT name FROM t ORDER BY id")
    assert stored == [(str(name),) for name in names] * 2


@pytest.mark.parametrize("reason", ["a trigger", "another group"])
async def test_a_late_value_without_a_text_ends_no_transaction(postgres: Any, reason: str) -> None:
    await postgres.run(
        """
        CREATE TABLE t (id serial, name text, age integer);
        CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
        """
    )
    if reason == "a trigger":
        await postgres.run("CREATE TRIGGER passes BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pass();")
    names: list[Any] = ["plain"] * 2_999 + [uuid.UUID(int=7)]
    others = [] if reason == "a trigger" else [{"age": 1}]
    async with BulkWriter(postgres.url, "t") as writer:
        stored = await writer.insert([*others, *({"name": name} for name in names)])
        assert stored == [None] * (len(others) + len(names))
    kept = await postgres.run("SELECT name FROM t WHERE name IS NOT NULL ORDER BY id")
    assert kept == [(str(name),) for name in names]


class Label(enum.StrEnum):
    """An Enum whose text is not its value."""

    FIRST = ("first", 1)

    def __new__(cls, text: str, number: int) -> Self:
        made = str.__new__(cls, text)
        made._value_ = number
        return made


@pytest.mark.parametrize("count", [1, 2, 150])
async def test_an_enum_of_texts_is_stored_the_same_however_many_there_are(postgres: Any, count: int) -> None:
    await postgres.run("CREATE TABLE t (name text);")
    async with BulkWriter(postgres.url, "t") as writer:
        assert await writer.insert([{"name": Label.FIRST}] * count) == [None] * count
    assert await postgres.run("SELECT DISTINCT name FROM t") == [("first",)]


@pytest.mark.parametrize("count", [1, 2, 150])
async def test_texts_are_the_same_on_a_connection_of_another_encoding(postgres: Any, count: int) -> None:
    await postgres.run("CREATE TABLE t (name text);")
    join = "&" if "?" in postgres.url else "?"
    async with BulkWriter(f"{postgres.url}{join}client_encoding=latin1", "t") as writer:
        assert await writer.insert([{"name": "Zoë"}] * count) == [None] * count
    assert await postgres.run("SELECT DISTINCT name FROM t") == [("Zoë",)]


@pytest.mark.parametrize("count", [1, 150])
async def test_a_domain_over_a_domain_takes_what_its_type_takes(postgres: Any, count: int) -> None:
    await postgres.run(
        """
        CREATE DOMAIN doc AS jsonb;
        CREATE DOMAIN small_doc AS doc CHECK (pg_column_size(VALUE) < 100);
        CREATE TABLE t (id integer, doc small_doc);
        """
    )
    rows = [{"id": n, "doc": {"n": n}} for n in range(count)]
    async with BulkWriter(postgres.url, "t") as writer:
        assert await writer.insert(rows, returning=("id", "doc")) == rows
        assert await writer.insert(rows) == [None] * count
        assert codes(await writer.insert([{"doc": ["x" * 200]}])) == ["check_violation"]


async def test_a_type_to_return_that_no_row_fits_is_told_before_anything_is_stored(postgres: Any) -> None:
    class Row(msgspec.Struct):
        id: str
        email: str

    async with BulkWriter(postgres.url, "users") as writer:
        with pytest.raises(ConfigurationError, match=r"id \(bigint\); nothing was stored"):
            await writer.insert([{"name": "Ada", "email": "ada@x"}], returning=Row)
    assert await postgres.run("SELECT count(*) FROM users") == [(0,)]


async def test_texts_that_the_server_has_not_fail_alone_among_many(postgres: Any) -> None:
    await postgres.run("CREATE TABLE t (name text, age integer);")
    rows: list[dict[str, Any]] = [{"name": f"n{n}", "age": n} for n in range(5_000)]
    rows[3]["name"] = "half of a pair \ud800"
    rows[2_500]["name"] = "nul \0"
    rows[4_800]["age"] = 2**31
    async with BulkWriter(postgres.url, "t") as writer:
        stored = await writer.insert(rows)
        assert await writer.insert(rows[:3]) == [None] * 3
    assert {n: each.code for n, each in enumerate(stored) if each is not None} == {
        3: "type_mismatch",
        2_500: "type_mismatch",
        4_800: "number_out_of_range",
    }
    assert await postgres.run("SELECT count(*) FROM t") == [(5_000 - 3 + 3,)]


@pytest.mark.parametrize("kind", ["date", "interval", "point"])
async def test_values_of_the_wrong_type_among_many_that_go_by_copy(postgres: Any, kind: str) -> None:
    await postgres.run(f"CREATE TABLE t (v {kind});")
    good = {"date": date(2020, 1, 1), "interval": timedelta(1), "point": (1, 2)}[kind]
    async with BulkWriter(postgres.url, "t") as writer:
        stored = await writer.insert([{"v": "x" if n in (3, 90) else good} for n in range(120)])
    assert [n for n, each in enumerate(codes(stored)) if each == "type_mismatch"] == [3, 90]
    assert await postgres.run("SELECT count(*) FROM t") == [(118,)]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("tsquery", "a & b", "a b"),
        ("jsonpath", "$.a", "a b"),
        ("regclass", "pg_class", "nope"),
        ("regclass", "pg_class", "a b"),
        ("regtype", "text", "nope"),
    ],
)
async def test_a_value_with_a_syntax_of_its_own_fails_alone(
    postgres: Any, kind: str, good: str, bad: str
) -> None:
    await postgres.run(f"CREATE TABLE t (v {kind});")
    async with BulkWriter(postgres.url, "t") as writer:
        stored = await writer.insert([{"v": value} for value in (good, bad, good)])
    assert codes(stored) == ["ok", "type_mismatch", "ok"]


async def test_many_rows_of_a_type_that_does_not_go_by_copy(postgres: Any, watched_pool: Any) -> None:
    await postgres.run("CREATE TABLE t (id serial, v money);")
    writer = BulkWriter(watched_pool, "t")
    rows = [{"v": f"{n}"} for n in range(150)]
    assert codes(await writer.insert(rows)) == ["ok"] * 150
    postgres.asked.clear()
    assert codes(await writer.insert(rows)) == ["ok"] * 150
    assert len(about_rows(postgres.asked)) == 1  # it is known by now
    order = "SELECT v::numeric::int FROM t ORDER BY id"
    assert await postgres.run(order) == [(n % 150,) for n in range(300)]


async def test_many_rows_by_a_codec_of_the_owner_of_the_pool(postgres: Any) -> None:
    async def as_text(connection: Any) -> None:
        await connection.set_type_codec("int4", encoder=str, decoder=int, schema="pg_catalog", format="text")

    await postgres.run("CREATE TABLE t (n int);")
    async with asyncpg.create_pool(postgres.url, min_size=1, max_size=1, init=as_text) as pool:
        assert codes(await BulkWriter(pool, "t").insert([{"n": n} for n in range(150)])) == ["ok"] * 150
        async with pool.acquire() as connection, connection.transaction():
            writer = BulkWriter(pool, "t")
            assert codes(await writer.insert([{"n": 1}] * 150, connection=connection)) == ["ok"] * 150
    assert await postgres.run("SELECT count(*) FROM t") == [(300,)]


async def test_keys_that_only_the_database_finds_equal_are_written_in_their_order(postgres: Any) -> None:
    await postgres.run("CREATE TABLE price (key numeric(9, 2) PRIMARY KEY, n integer); SELECT 1")
    rows = [{"key": Decimal(f"1.00{n}"), "n": n} for n in range(5)]
    async with BulkWriter(postgres.url, "price") as writer:
        assert codes(await writer.upsert(rows, returning=("n",))) == ["ok"] * 5
    assert await postgres.run("SELECT * FROM price") == [(Decimal("1.00"), 4)]


async def test_updates_by_keys_that_only_the_database_finds_equal_are_written_in_their_order(
    postgres: Any,
) -> None:
    await postgres.run("CREATE TABLE t (id uuid PRIMARY KEY, n int, m int);")
    key, other = uuid.UUID(int=0xA), uuid.UUID(int=0xB)
    async with BulkWriter(postgres.url, "t") as writer:
        await writer.insert([{"id": key, "n": 0}, {"id": other, "n": 0}])
        for last in (str(key), key.hex.upper(), key):
            first = str(key).upper() if last is key else key
            rows = [
                {"id": first, "n": 1},
                {"id": other, "n": 2},
                {"id": last, "n": 3},
                {"id": uuid.UUID(int=1), "n": 4},
            ]
            found = await writer.update(rows, returning="n")
            assert found[:3] == [1, 2, 3]
            assert codes(found)[3] == "not_found"
            assert await postgres.run("SELECT n FROM t ORDER BY id") == [(3,), (2,)]


async def test_deferred_constraints_are_checked_row_by_row(postgres: Any) -> None:
    await postgres.run(
        "CREATE TABLE child (id integer PRIMARY KEY,"
        " team integer REFERENCES team DEFERRABLE INITIALLY DEFERRED);"
        "SELECT 1"
    )
    async with BulkWriter(postgres.url, "child") as writer:
        stored = await writer.insert([{"id": n, "team": 9 if n == 3 else 1} for n in range(8)])
    assert codes(stored) == ["ok"] * 3 + ["foreign_key_violation"] + ["ok"] * 4
    assert len(await postgres.run("SELECT FROM child")) == 7


async def test_deferred_constraints_of_other_tables_are_found_row_by_row_too(postgres: Any) -> None:
    await postgres.run(
        "CREATE TABLE plan (id int PRIMARY KEY);"
        "CREATE TABLE step (plan int REFERENCES plan DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO plan SELECT generate_series(1, 5); INSERT INTO step VALUES (3);"
    )
    async with BulkWriter(postgres.url, "plan") as writer:
        assert codes(await writer.delete([3])) == ["foreign_key_violation"]
        found = codes(await writer.delete([1, 2, 3, 4]))
        atomic = codes(await writer.delete([3, 5], atomic=True))
    assert found == ["ok", "ok", "foreign_key_violation", "ok"]
    assert atomic == ["foreign_key_violation", "rolled_back"]
    assert await postgres.run("SELECT id FROM plan ORDER BY id") == [(3,), (5,)]


async def test_rows_that_a_trigger_leaves_out_or_refuses(postgres: Any) -> None:
    await postgres.run(
        "CREATE FUNCTION pick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.name = 'no' THEN RAISE EXCEPTION 'secret'; END IF;"
        " IF NEW.name = 'skip' THEN RETURN NULL; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER pick BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION pick();"
    )
    names = ["a", "skip", "b", "no", "c", "skip"]
    async with BulkWriter(postgres.url, "users") as writer:
        for returning in (None, ("name",)):
            rows = [NewUser(name, f"{returning} {n}") for n, name in enumerate(names)]
            stored = await writer.insert(rows, returning=returning)  # type: ignore[call-overload]
            assert codes(stored) == ["ok", "ignored", "ok", "constraint_violation", "ok", "ignored"]
        many = [NewUser("skip" if n == 120 else "n", f"many {n}") for n in range(200)]
        assert codes(await writer.insert(many)).index("ignored") == 120
    assert len(await postgres.run("SELECT FROM users")) == 6 + 199


class Mood(enum.Enum):
    GLAD = "glad"


@pytest.mark.parametrize("state", ["ZX001", "45000", "P0002"])
async def test_a_trigger_refuses_a_row_by_whatever_code_it_has(postgres: Any, state: str) -> None:
    await postgres.run(
        "CREATE TABLE t (n int);"
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{state}'; END$$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n = 2) EXECUTE FUNCTION refuse();"
    )
    async with BulkWriter(postgres.url, "t") as writer:
        stored = await writer.insert([{"n": n} for n in range(4)])
    assert codes(stored) == ["ok", "ok", "constraint_violation", "ok"]


async def test_a_rule_holds_however_many_rows_there_are(postgres: Any) -> None:
    await postgres.run("CREATE TABLE t (n int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING;")
    async with BulkWriter(postgres.url, "t") as writer:
        assert codes(await writer.insert([{"n": 1}] * 120)) == ["ignored"] * 120
    assert await postgres.run("SELECT n FROM t") == []


async def test_what_the_database_computes_is_refused_however_many_rows_there_are(postgres: Any) -> None:
    class Numbered(msgspec.Struct):
        id: int | msgspec.UnsetType
        n: int

    class Always(msgspec.Struct):
        id: int
        n: int

    await postgres.run("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int);")
    async with BulkWriter(postgres.url, "t") as writer:
        for count in (1, 150):
            with pytest.raises(ConfigurationError, match="fields of Always that the database computes: id"):
                await writer.insert([Always(7, 1)] * count)
            refused = await writer.insert([Numbered(7, 1)] * count)
            assert codes(refused) == ["unknown_column"] * count
        assert await writer.insert([Numbered(msgspec.UNSET, 1), Numbered(7, 1)], returning="id") == [
            1,
            refused[0],
        ]
        with pytest.raises(ConfigurationError, match="upsert by another key"):
            await writer.upsert([{"id": 1, "n": 1}])
        assert await writer.update([Always(1, 5)], returning="n") == [5]


async def test_values_of_several_parts_are_taken_the_same_whatever_came_before(postgres: Any) -> None:
    await postgres.run(
        "CREATE TYPE two AS (a int, b text);"
        "CREATE TABLE t (id int PRIMARY KEY, p two, m int4multirange, w path);"
    )
    row = {"p": (1, "x"), "m": [asyncpg.Range(1, 5)], "w": asyncpg.Path((1, 2), (3, 4))}
    async with BulkWriter(postgres.url, "t") as writer:
        for turn in range(2):
            rows = [{"id": turn * 2 + n, **row} for n in range(2)]
            assert [tuple(each) for each in await writer.insert(rows, returning="p")] == [(1, "x")] * 2
            assert codes(await writer.upsert(rows)) == codes(await writer.update(rows)) == ["ok"] * 2
        many = [{"id": 100 + n, **row} for n in range(200)]
        assert codes(await writer.insert(many)) == ["ok"] * 200


async def test_types_go_in_and_come_out(postgres: Any) -> None:
    await postgres.run(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');"
        "CREATE DOMAIN short AS varchar(3) CHECK (value <> 'bad');"
        'CREATE SCHEMA other; CREATE TABLE other."All Types" ('
        " id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,"
        " at timestamptz, day date, clock time, span interval, amount numeric, mark uuid, doc jsonb,"
        " old json, tags text[], grid integer[][], feel mood, code short, raw bytea, ok boolean,"
        " ratio float8, twice integer GENERATED ALWAYS AS (id * 2) STORED)"
    )
    mark = uuid.uuid4()
    row = {
        "at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "day": date(2026, 1, 2), "clock": time(3, 4),
        "span": timedelta(hours=1), "amount": Decimal("1.10"), "mark": mark, "doc": {"a": [1]}, "old": [1],
        "tags": ["x", "y"], "grid": [[1, 2], [3, 4]], "feel": Mood.GLAD, "code": "abc", "raw": b"\0",
        "ok": True, "ratio": 1.5,
    }  # fmt: skip
    expected = {**row, "feel": "glad", "twice": 2}
    texts = {
        "at": "2026-01-02T03:04:00+00:00", "day": "2026-01-02", "clock": "03:04", "mark": str(mark),
        "doc": '{"a": [1]}', "feel": "sad",
    }  # fmt: skip
    async with BulkWriter(postgres.url, 'other."All Types"') as writer:
        assert await writer.insert([row], returning=tuple(expected)) == [expected]
        (stored,) = await writer.insert([texts], returning=tuple(texts))
        assert stored == {name: row[name] for name in texts if name != "feel"} | {"feel": "sad"}
        without_arrays = {name: value for name, value in row.items() if name not in ("tags", "grid")}
        assert await writer.insert([without_arrays] * 150) == [None] * 150
        rows = [{"id": 1, "tags": ["z"]}, {"id": 7, "tags": []}]
        assert await writer.upsert(rows, returning=("tags",)) == [{"tags": ["z"]}, {"tags": []}]
        bad: list[dict[str, Any]] = [
            {"code": "bad"}, {"code": "long"}, {"feel": "angry"}, {"mark": "no"}, {"day": "no"},
            {"doc": "{"}, {"doc": object()},
        ]  # fmt: skip
        assert codes(await writer.insert(bad)) == [
            "check_violation", "string_too_long", *["type_mismatch"] * 5,
        ]  # fmt: skip
        assert codes(await writer.insert([{"twice": 1}])) == ["unknown_column"]


async def test_rows_without_any_value_get_all_defaults(postgres: Any) -> None:
    await postgres.run(
        "CREATE TABLE tick (id integer GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now()); SELECT 1"
    )
    async with BulkWriter(postgres.url, "tick") as writer:
        assert await writer.insert([{}, {}, {}], returning=("id",)) == [{"id": 1}, {"id": 2}, {"id": 3}]


async def test_rows_go_into_a_table_with_policies_which_takes_no_copy(postgres: Any) -> None:
    await postgres.run(
        "CREATE ROLE clerk LOGIN; GRANT ALL ON users TO clerk; GRANT ALL ON SEQUENCE users_id_seq TO clerk; "
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY own ON users USING (email <> 'x'); SELECT 1"
    )
    url = postgres.url.replace("//postgres", "//clerk")
    assert "clerk" in url
    try:
        async with BulkWriter(url, "users") as writer:
            rows = [NewUser("n", f"{n}") for n in range(500)]
            assert await writer.insert(rows) == [None] * 500
            mixed = [NewUser("n", "a"), NewUser("n", "x"), NewUser("n", "b")]
            assert codes(await writer.insert(mixed)) == ["ok", "check_violation", "ok"]
            await postgres.run("REVOKE INSERT ON users FROM clerk; SELECT 1")
            with pytest.raises(ConfigurationError, match="refuses the statement"):
                await writer.insert([NewUser("n", "c")])
    finally:
        await postgres.run("DROP OWNED BY clerk; DROP ROLE clerk; SELECT 1")


async def test_a_table_that_is_altered_is_looked_at_again(postgres: Any) -> None:
    async with BulkWriter(postgres.url, "users") as writer:
        await writer.insert([{"name": "a", "email": "a"}])
        await postgres.run("ALTER TABLE users RENAME COLUMN name TO label; SELECT 1")
        with pytest.raises(ConfigurationError, match="refuses the statement"):
            await writer.insert([{"name": "b", "email": "b"}])
        assert await writer.insert([{"label": "b", "email": "b"}]) == [None]


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_type_that_is_altered_is_noticed_in_the_same_batch(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, *, atomic: bool
) -> None:
    monkeypatch.setattr("gristmill.databases.storing._LOOK_AGAIN", 0.0)
    await postgres.run("CREATE TABLE t (n integer, v text);")
    async with BulkWriter(postgres.url, "t") as writer:
        await writer.insert([{"n": 1}, {"n": 2}, {"n": 3}], returning="n")
        await postgres.run("ALTER TABLE t ALTER n TYPE text;")
        rows = [{"n": "a"}, {"n": "b"}, {"n": "c"}]
        assert await writer.insert(rows, returning="n", atomic=atomic) == ["a", "b", "c"]
        bad = [{"n": "d"}, {"n": "e", "v": "nul\0"}]
        await writer.insert(bad, returning="n")  # prepares the statements of a transaction
        await postgres.run("ALTER TABLE t ALTER n TYPE varchar(9);")
        assert codes(await writer.insert(bad, returning="n")) == ["ok", "type_mismatch"]


async def test_a_connection_of_ones_own_keeps_its_transaction(postgres: Any) -> None:
    connection = await asyncpg.connect(postgres.url)
    async with BulkWriter(postgres.url, "users") as writer:
        transaction = connection.transaction()
        await transaction.start()
        rows = [NewUser("a", "a"), NewUser(None, "b"), NewUser("c", "c")]
        assert codes(await writer.insert(rows, connection=connection)) == ["ok", "not_null_violation", "ok"]
        again = [NewUser("d", "d"), NewUser("e", "a")]
        assert codes(await writer.insert(again, connection=connection, atomic=True)) == [
            "rolled_back",
            "unique_violation",
        ]
        assert await postgres.run("SELECT FROM users") == []
        await transaction.commit()
    await connection.close()
    assert await postgres.run("SELECT name FROM users ORDER BY name") == [("a",), ("c",)]


async def test_a_transaction_of_another_kind_of_database_is_refused(postgres: Any) -> None:
    import apsw  # noqa: PLC0415 - only here

    connection = apsw.Connection("")
    async with BulkWriter(postgres.url, "users") as writer:
        with pytest.raises(ConfigurationError, match="one of apsw, and this writer's database is PostgreSQL"):
            await writer.insert([NewUser("a", "a")], connection=connection)
    connection.close()
