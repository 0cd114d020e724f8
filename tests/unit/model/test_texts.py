from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import ConfigurationError
from gristmill.model.job import Unique
from gristmill.model.texts import check_key, check_name, is_unicode


@pytest.mark.parametrize("text", ["", "a", "\0", "é", "\U0001f600", "\ud7ff\ue000"])
def test_what_can_be_encoded_is_a_key(text: str) -> None:
    assert is_unicode(text)
    check_key("key", text)
    assert text.encode().decode() == text


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "é\udcff.csv"])
def test_half_a_surrogate_pair_is_none(text: str) -> None:
    assert not is_unicode(text)
    with pytest.raises(ConfigurationError, match=r"^key has half a surrogate pair.*replace") as told:
        check_key("key", text)
    assert str(told.value).isascii()


@pytest.mark.parametrize("key", [7, b"a", ("a",)])
def test_what_is_no_text_is_no_key(key: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"key is a text, not .*str\(\)"):
        check_key("key", key)


@pytest.mark.parametrize("name", ["a\0", "\udcff"])
def test_some_texts_are_the_name_of_nothing(name: str) -> None:
    with pytest.raises(ConfigurationError, match="handler has "):
        check_name("handler", name)
    check_name("handler", None)
    check_name("handler", "é")


@pytest.mark.parametrize("values", [("\ud800", None), ("a", "\ud800"), (7, None)])
def test_a_unique_key_and_its_fingerprint_are_such_texts(values: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a unique key|a fingerprint"):
        Unique(key=values[0], fingerprint=values[1])
