from __future__ import annotations

import pytest

from gristmill.cli.run_options import parse_columns, parse_rename, parse_select
from gristmill.errors import ConfigurationError


def test_columns_are_names_with_commas_between() -> None:
    assert parse_columns(None) is None
    assert parse_columns("a") == ("a",)
    assert parse_columns(" a, b c ,ü") == ("a", "b c", "ü")


@pytest.mark.parametrize("text", ["", "a,,b", "a,a", ",", "a, "])
def test_lists_with_holes_or_twins_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="each once"):
        parse_columns(text)


def test_columns_are_selected_and_renamed() -> None:
    assert parse_select(None, None) is None
    assert parse_select(None, {"a": "x"}) is None
    assert parse_select("a,b", None) == {"a": "a", "b": "b"}
    assert parse_select("b,a", {"a": "x"}) == {"b": "b", "a": "x"}
    assert parse_rename(None) is None
    assert parse_rename([]) is None
    assert parse_rename(["a=x=y", "b=a", "b=a"]) == {"a": "x=y", "b": "a"}


def test_a_column_that_is_not_selected_is_not_renamed() -> None:
    with pytest.raises(ConfigurationError, match="--rename b="):
        parse_select("a", {"b": "c"})


@pytest.mark.parametrize(
    ("rename", "told"),
    [(["a"], "OLD=NEW"), (["=b"], "OLD=NEW"), (["a="], "OLD=NEW"), (["a=x", "a=y"], "'a' two names")],
)
def test_new_names_that_are_none_are_refused(rename: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_rename(rename)
