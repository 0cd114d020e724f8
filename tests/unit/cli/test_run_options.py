from __future__ import annotations

import pytest

from gristmill.cli.run_options import parse_columns, parse_select
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
    assert parse_select(None, []) is None
    assert parse_select("a,b", None) == {"a": "a", "b": "b"}
    assert parse_select("b,a", ["a=x=y"]) == {"b": "b", "a": "x=y"}


@pytest.mark.parametrize(
    ("select", "rename", "told"),
    [
        (None, ["a=b"], "--rename needs --select"),
        ("a", ["b=c"], "--rename b="),
        ("a", ["a"], "OLD=NEW"),
        ("a", ["=b"], "OLD=NEW"),
        ("a", ["a="], "OLD=NEW"),
    ],
)
def test_what_does_not_fit_together_is_refused(select: str | None, rename: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_select(select, rename)
