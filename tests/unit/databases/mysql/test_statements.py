from __future__ import annotations

import pytest

from gristmill.databases.mysql import statements
from gristmill.databases.mysql.backend import computes, options_of
from gristmill.databases.names import table_name
from gristmill.databases.operation import Operation
from gristmill.databases.table import Column, Table
from gristmill.errors import ConfigurationError

TABLE = Table(
    name=table_name("shop.users"),
    columns={name: Column(name=name, type="int") for name in ("id", "a", "odd%`")},
    key=("id",),
)


def test_an_insert_has_a_row_of_marks_for_each_row() -> None:
    insert = Operation(kind="insert", returning=("id",))
    assert statements.insertion(insert, TABLE, ("a", "odd%`"), 2, returns=True) == (
        "INSERT INTO `shop`.`users` (`a`, `odd%%```) VALUES (%s, %s), (%s, %s) RETURNING `id`"
    )


def test_an_upsert_sets_what_is_no_key() -> None:
    upsert = Operation(kind="upsert", key=("id",))
    assert statements.insertion(upsert, TABLE, ("id", "a"), 1, returns=True) == (
        "INSERT INTO `shop`.`users` (`id`, `a`) VALUES (%s, %s) ON DUPLICATE KEY UPDATE `a` = VALUES(`a`)"
    )


def test_updates_and_deletes_go_by_key() -> None:
    assert statements.update(Operation(kind="update", key=("id",)), TABLE, ("id", "a"), 2) == (
        "UPDATE `shop`.`users` SET `a` = CASE WHEN `id` = %s THEN %s WHEN `id` = %s THEN %s END "
        "WHERE `id` IN (%s, %s)"
    )
    assert statements.deletion(Operation(kind="delete", key=("id", "a")), TABLE, 2) == (
        "DELETE FROM `shop`.`users` WHERE (`id`, `a`) IN ((%s, %s), (%s, %s))"
    )


def test_a_url_is_what_the_driver_takes() -> None:
    assert options_of("mysql://me:p%40ss@db:3307/shop") == {
        "host": "db", "port": 3307, "user": "me", "password": "p@ss", "db": "shop",
    }  # fmt: skip
    assert options_of("mariadb://me@x/shop?unix_socket=/run/s")["unix_socket"] == "/run/s"
    with pytest.raises(ConfigurationError, match="mysql://user:password@host:3306/database"):
        options_of("mysql://me@db")


@pytest.mark.parametrize(
    ("extra", "is_generated"),
    [("", False), ("auto_increment", False), ("STORED GENERATED", True), ("VIRTUAL GENERATED", True),
     ("DEFAULT_GENERATED", False), ("DEFAULT_GENERATED on update CURRENT_TIMESTAMP", False)],
)  # fmt: skip
def test_a_computed_default_is_no_computed_column(extra: str, *, is_generated: bool) -> None:
    assert computes(extra) is is_generated
