from __future__ import annotations

import pickle

import pytest

from gristmill.errors import ConfigurationError, MalformedInput
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.layout import Layout


@pytest.mark.parametrize("delimiter", ["", ",,", "é", '"', "\n", "\r", "\0"])
def test_a_delimiter_is_one_ascii_character(delimiter: str) -> None:
    with pytest.raises(ConfigurationError, match="delimiter"):
        Dialect(delimiter)


def test_a_quoting_is_one_of_three() -> None:
    with pytest.raises(ConfigurationError, match="'rfc4180', 'lenient', 'none'"):
        Dialect(quoting="excel")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ()}, "needs the names"),
        ({"names": ("a",), "select": {"b": "b"}}, "no column 'b'; there is 'a'"),
        ({"names": ("a", "b"), "select": {"a": "x", "b": "x"}}, "one name"),
        ({"names": ("a",), "extra": "a"}, "one name"),
    ],
)  # fmt: skip
def test_a_layout_that_cannot_be_is_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Layout(**options)  # type: ignore[arg-type]


def test_dialects_layouts_and_errors_go_to_other_processes() -> None:
    for value in (Dialect("\t", "none"), Layout(("a", "b"), select={"b": "c"}, extra="x")):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes
    error = pickle.loads(pickle.dumps(MalformedInput("no", offset=7)))  # noqa: S301 - our own bytes
    assert (str(error), error.offset) == ("no", 7)
