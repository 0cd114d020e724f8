"""Columns are selected and renamed by name, in an order that people expect."""

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.formats.selection import chosen


def test_columns_stay_in_place_under_their_new_names_or_come_as_selected():
    assert list(chosen(["a", "b", "c"], None, {"b": "x"}).items()) == [("a", "a"), ("b", "x"), ("c", "c")]
    assert chosen(["a", "b"], None, {"a": "b", "b": "a"}) == {"a": "b", "b": "a"}
    assert chosen(["a", "a"], None, None) == {"a": "a"}
    assert list(chosen(["a", "b"], {"b": "x", "a": "a"}, None)) == ["b", "a"]


@pytest.mark.parametrize(
    ("select", "rename", "told"),
    [
        (None, {"z": "x"}, "there is no column 'z'; there is 'a', 'b'"),
        ({"z": "x"}, None, "there is no column 'z'; there is 'a', 'b'"),
        (None, {"a": "b"}, "would have one name: 'b', 'b'"),
        ({"a": "x", "b": "x"}, None, "would have one name: 'x', 'x'"),
    ],
)
def test_what_no_row_can_be_is_refused(select, rename, told):
    with pytest.raises(ConfigurationError, match=told):
        chosen(["a", "b"], select, rename)
