"""Types of text columns: inferred only where the text says the same after it was read and written."""

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.formats.column_types import ColumnType, infer, parse_types


def kind(*cells: str) -> str:
    return infer(["x"], [{"x": cell} for cell in cells])["x"].name


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (["1", "-20", "0"], "int64"),
        (["1", ""], "int64"),
        (["1", "2.5"], "double"),
        (["1e5", "-0.25"], "double"),
        (["true", "false"], "bool"),
        (["True", ""], "bool"),
        ([""], "string"),
        ([], "string"),
    ],
)
def test_plain_numbers_and_truths_are_found(cells, name):
    assert kind(*cells) == name


@pytest.mark.parametrize(
    "cells",
    [
        ["007"],
        ["-0"],
        ["+5"],
        ["1", "NA"],
        ["nan"],
        ["12345678901234567890123"],
        ["1.5", "0.1234567890123456789"],
        ["2026-01-02"],
        ["true", "True"],
        ["0x1F"],
        ["1 "],
        ["1,5"],
    ],
)
def test_what_would_not_come_back_as_it_was_stays_text(cells):
    assert kind(*cells) == "string"


def test_types_that_are_said_are_checked():
    assert parse_types({"a": "decimal(12,2)"}) == {"a": ColumnType("decimal(12,2)")}
    with pytest.raises(ConfigurationError, match="column a cannot be read as 'number'"):
        parse_types({"a": "number"})
