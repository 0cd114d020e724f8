from __future__ import annotations

import pytest

from gristmill.databases.names import table_name
from gristmill.databases.operation import Operation
from gristmill.databases.postgres.statements import choose, selection, statement
from gristmill.databases.table import Column, Family, Table

TABLE = Table(
    name=table_name("users"),
    columns={
        "id": Column(name="id", type="bigint"),
        "name": Column(name="name", type="character varying", family=Family.TEXT),
        "doc": Column(name="doc", type="jsonb", family=Family.JSON),
        "tags": Column(name="tags", type="text[]", family=Family.ARRAY),
    },
    key=("id",),
    takes_copy=True,
)
INSERT = Operation(kind="insert")
WITH_IDS = Operation(kind="insert", returning=("id",))


@pytest.mark.parametrize(
    ("operation", "columns", "count", "recurs", "form"),
    [
        (INSERT, ("name",), 99, False, "unnest"),
        (INSERT, ("name",), 100, False, "copy"),
        (WITH_IDS, ("name",), 50_000, True, "unnest"),
        (WITH_IDS, ("name",), 500, False, "unnest"),
        (WITH_IDS, ("name",), 500, True, "values"),
        (WITH_IDS, ("name",), 1_000, True, "unnest"),
        (INSERT, ("name", "tags"), 500, False, "values"),
        (INSERT, ("name", "doc"), 500, False, "unnest"),
        (Operation(kind="upsert", key=("id",)), ("id", "name"), 500, True, "unnest"),
    ],
)
def test_the_form_is_chosen_by_size_and_by_what_is_asked(
    operation: Operation, columns: tuple[str, ...], count: int, *, recurs: bool, form: str
) -> None:
    chosen = choose(operation, TABLE, columns, count, may_copy=False, may_join=False, recurs=recurs)
    assert chosen == form


def test_columns_that_can_be_joined_need_no_values() -> None:
    assert choose(WITH_IDS, TABLE, ("name",), 500, may_copy=True, may_join=True, recurs=True) == "unnest"
    tags = choose(WITH_IDS, TABLE, ("name", "tags"), 500, may_copy=True, may_join=False, recurs=True)
    assert tags == "values"


def test_joined_columns_are_split_on_the_server() -> None:
    found = statement(WITH_IDS, TABLE, ("id", "name", "doc"), "unnest", 7, joined=(True, True, False))
    assert (
        r"FROM unnest(string_to_array($1, E'\x1f', E'\x1e')::bigint[], "
        r"string_to_array($2, E'\x1f', E'\x1e'), $3::text[]) WITH ORDINALITY AS r(c0, c1, c2, n)"
    ) in found


def test_rows_come_as_arrays_in_the_order_of_the_items() -> None:
    assert statement(WITH_IDS, TABLE, ("name", "doc"), "unnest", 7) == (
        'INSERT INTO "users" AS t ("name", "doc") SELECT r.c0, r.c1::jsonb '
        "FROM unnest($1::character varying[], $2::text[]) WITH ORDINALITY AS r(c0, c1, n) "
        'ORDER BY r.n RETURNING t."id"'
    )


def test_an_update_says_which_rows_it_found() -> None:
    update = Operation(kind="update", key=("id",), returning=("name",))
    assert statement(update, TABLE, ("id", "name"), "unnest", 1) == (
        'UPDATE "users" AS t SET "name" = r.c1 FROM unnest($1::bigint[], $2::character varying[]) '
        'WITH ORDINALITY AS r(c0, c1, n) WHERE t."id" = r.c0 RETURNING r.n, t."name"'
    )


def test_a_statement_is_made_once() -> None:
    assert statement(INSERT, TABLE, ("name",), "unnest", 1) is statement(
        INSERT, TABLE, ("name",), "unnest", 2
    )


def test_one_key_is_looked_up_by_any() -> None:
    assert selection(TABLE, ("name",), ("id",)) == (
        'SELECT t."id", t."name" FROM "users" AS t WHERE t."id" = ANY($1::bigint[])'
    )
