from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.databases.grouping import Grouper, one_row_a_key
from gristmill.databases.names import quoted, table_name
from gristmill.databases.operation import Group, Operation
from gristmill.databases.table import Column, Table
from gristmill.errors import ConfigurationError

TABLE = Table(
    name=table_name("t"),
    columns={name: Column(name=name, type="int") for name in ("id", "a", "b")},
    key=("id",),
)
INSERT = Operation(kind="insert")
UPDATE = Operation(kind="update", key=("id",))
DELETE = Operation(kind="delete", key=("id",))


class Row(msgspec.Struct):
    id: int
    a: int | msgspec.UnsetType = msgspec.UNSET


def plain(groups: list[Group]) -> list[Any]:
    return [(group.columns, list(group.indices), group.values) for group in groups]


def test_dicts_go_together_by_their_keys_wherever_they_stand() -> None:
    groups, bad = Grouper(TABLE, None).group([{"a": 1}, {"b": 2}, {"a": 3}, {"x": 4}, {}], INSERT)
    assert plain(groups) == [(("a",), [0, 2], [[1, 3]]), (("b",), [1], [[2]]), ((), [4], [])]
    assert {index: failed.code for index, failed in bad.items()} == {3: "unknown_column"}


def test_the_order_of_the_keys_of_a_dict_does_not_matter() -> None:
    groups, _ = Grouper(TABLE, None).group([{"id": 1, "a": 2}, {"a": 3, "id": 4}], INSERT)
    assert plain(groups) == [(("id", "a"), [0, 1], [[1, 4], [2, 3]])]


def test_rows_of_one_key_with_other_columns_become_one_row_that_has_the_last_of_each() -> None:
    items = [
        {"id": 1, "a": 1},
        {"id": 1, "b": 2},
        {"id": 2, "a": 3},
        {"id": 1, "a": 4},
        {"id": 2, "a": 5, "b": 6},
    ]
    groups, _ = Grouper(TABLE, None).group(items, UPDATE)
    kept, replaced = one_row_a_key(groups, ("id",))
    assert plain(kept) == [(("id", "a", "b"), [4], [[2], [5], [6]]), (("a", "b", "id"), [3], [[4], [2], [1]])]
    assert replaced == {0: 3, 1: 3, 2: 4}


def test_a_field_that_is_unset_is_left_out() -> None:
    groups, _ = Grouper(TABLE, None).group([Row(1), Row(2, 5), Row(3)], INSERT)
    assert plain(groups) == [(("id",), [0, 2], [[1, 3]]), (("id", "a"), [1], [[2], [5]])]


def test_a_dict_without_its_key_fails_alone_and_a_type_without_it_is_a_mistake() -> None:
    class NoKey(msgspec.Struct):
        a: int

    grouper = Grouper(TABLE, None)
    _, bad = grouper.group([{"a": 1}], UPDATE)
    assert bad[0].code == "missing_key"
    with pytest.raises(ConfigurationError, match="NoKey has no field id, which is in the key"):
        grouper.group([NoKey(1)], UPDATE)


def test_deletes_take_values_rows_and_dicts() -> None:
    groups, _ = Grouper(TABLE, None).group([7, {"id": 8, "a": 1}, Row(9), 10], DELETE)
    assert plain(groups) == [
        (("id",), [0, 3], [[7, 10]]), (("id",), [1], [[8]]), (("id",), [2], [[9]]),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 4) | st.none(), st.integers()), max_size=30))
def test_the_last_row_of_a_key_is_kept_and_every_other_one_points_to_it(rows: list[Any]) -> None:
    group = Group(("id", "a"), list(range(len(rows))), [[row[0] for row in rows], [row[1] for row in rows]])
    groups, replaced = one_row_a_key([group] if rows else [], ("id",))
    last = {key: index for index, (key, _) in enumerate(rows) if key is not None}
    expected = sorted(index for index, (key, _) in enumerate(rows) if key is None or last[key] == index)
    kept = [index for one in groups for index in one.indices]
    assert sorted(kept) == expected
    assert replaced == {
        index: last[key] for index, (key, _) in enumerate(rows) if key is not None and last[key] != index
    }
    for one in groups:
        assert [(key, a) for key, a in zip(*one.values, strict=True)] == [
            rows[index] for index in one.indices
        ]
        if None not in one.values[0]:
            assert one.values[0] == sorted(one.values[0])


def test_keys_of_rows_with_other_columns_meet() -> None:
    groups = [Group(("id",), [0, 2], [[1, 2]]), Group(("id", "a"), [1], [[1], [5]])]
    kept, replaced = one_row_a_key(groups, ("id",))
    assert plain(kept) == [(("id",), [2], [[2]]), (("id", "a"), [1], [[1], [5]])]
    assert replaced == {0: 1}


@pytest.mark.parametrize(
    ("text", "quoted_name"),
    [("users", '"users"'), ("sales.users", '"sales"."users"'), ('a."Odd.""name"', '"a"."Odd.""name"')],
)
def test_names_of_tables(text: str, quoted_name: str) -> None:
    assert table_name(text).quoted() == quoted_name


@pytest.mark.parametrize("text", ["", "a.b.c", 'a"', ".a", "a.", "a b"])
def test_what_names_no_table_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="a table is named users"):
        table_name(text)


def test_a_quote_cannot_end_a_name() -> None:
    assert quoted('a"; DROP TABLE b; --') == '"a""; DROP TABLE b; --"'
