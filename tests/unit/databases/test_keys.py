from __future__ import annotations

import enum
import uuid
from typing import Any

import pytest

from gristmill.databases.keys import as_key, plain_key
from gristmill.errors import ConfigurationError

UUID = uuid.UUID(int=0xA)


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(("given", "key"), [(7, 7), ((1, "x"), (1, "x")), ([1, "x"], (1, "x")), (None, None)])
def test_a_key_of_several_columns_may_be_a_list(given: Any, key: Any) -> None:
    assert as_key(given) == key


@pytest.mark.parametrize("given", [{}, [[1], 2], {1}])
def test_what_cannot_be_compared_is_no_key(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="a key is a value, or a tuple of them"):
        as_key(given)


@pytest.mark.parametrize("form", [UUID, str(UUID), str(UUID).upper(), UUID.hex])
def test_all_forms_of_a_uuid_are_one_key(form: Any) -> None:
    assert plain_key(form, [True]) == str(UUID)
    assert plain_key((1, form), [False, True]) == (1, str(UUID))


def test_what_is_no_uuid_stays_as_it_is() -> None:
    assert plain_key("nope", [True]) == "nope"
    assert plain_key(UUID.hex, [False]) == UUID.hex
    assert plain_key(Colour.RED, [False]) == "red"
