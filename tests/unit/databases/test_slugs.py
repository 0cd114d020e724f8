"""One code for one reason, whichever database gives it."""

from __future__ import annotations

import apsw
import pytest

from gristmill.databases.slugs import SLUGS, refusal, slug_of_mysql, slug_of_sqlite, slug_of_sqlstate


@pytest.mark.parametrize(
    ("slug", "states", "mysql", "sqlite"),
    [
        ("unique_violation", ("23505",), (1062, 1586),
         (apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID)),
        ("not_null_violation", ("23502",), (1048, 1364), (apsw.SQLITE_CONSTRAINT_NOTNULL,)),
        ("check_violation", ("23514", "44000"), (3819, 4025), (apsw.SQLITE_CONSTRAINT_CHECK,)),
        ("foreign_key_violation", ("23503", "23001"), (1452,), (apsw.SQLITE_CONSTRAINT_FOREIGNKEY,)),
        ("exclusion_violation", ("23P01",), (), ()),
        ("constraint_violation", ("P0001", "P0002", "ZX001", "45000", "21000", "23000"), (1644,),
         (apsw.SQLITE_CONSTRAINT_TRIGGER, apsw.SQLITE_CONSTRAINT, apsw.SQLITE_CONSTRAINT_VTAB)),
        ("string_too_long", ("22001",), (1406,), ()),
        ("number_out_of_range", ("22003", "22008"), (1264,), ()),
        ("type_mismatch", ("22P02", "42804", "22021"), (1366,),
         (apsw.SQLITE_MISMATCH, apsw.SQLITE_CONSTRAINT_DATATYPE)),
        ("too_big", ("54000",), (1118,), (apsw.SQLITE_TOOBIG,)),
    ],
)  # fmt: skip
def test_each_database_has_the_same_slugs(
    slug: str, states: tuple[str, ...], mysql: tuple[int, ...], sqlite: tuple[int, ...]
) -> None:
    found = {*map(slug_of_sqlstate, states), *map(slug_of_mysql, mysql), *map(slug_of_sqlite, sqlite)}
    assert found == {slug}
    assert slug in SLUGS


def test_what_no_row_is_at_fault_for_has_no_slug() -> None:
    assert slug_of_sqlstate("40001") is slug_of_sqlstate("57P01") is slug_of_sqlstate("") is None
    assert slug_of_mysql(1213) is None
    assert slug_of_sqlite(apsw.SQLITE_BUSY) is slug_of_sqlite(apsw.SQLITE_FULL) is None


@pytest.mark.parametrize("slug", SLUGS)
def test_a_refusal_names_what_the_database_named(slug: str) -> None:
    text = str(refusal(slug, constraint="a_rule", column="a_column").error)
    assert "a_column" in text
    assert text.endswith("(a_rule)")
