from __future__ import annotations

from typing import Any

import pytest

from gristmill.databases.postgres.inspecting import column_of

TEXT = {
    "name": "email",
    "type": "text",
    "category": "S",
    "kind": "b",
    "is_builtin": True,
    "is_generated": False,
    "is_deterministic": True,
}


@pytest.mark.parametrize(
    ("row", "is_exact"),
    [
        (TEXT, True),
        ({**TEXT, "is_deterministic": False}, False),  # a collation to which Ann is ann
        ({**TEXT, "type": "bpchar"}, False),  # to which trailing blanks are nothing
        ({**TEXT, "type": "numeric", "category": "N"}, False),
        ({**TEXT, "type": "bigint", "category": "N"}, True),
    ],
)
def test_texts_are_compared_as_the_collation_of_their_column_does(
    row: dict[str, Any], *, is_exact: bool
) -> None:
    assert column_of(row, is_own=True).is_exact is is_exact


def test_what_codecs_of_somebody_else_return_is_not_known() -> None:
    assert column_of(TEXT, is_own=True).values is str
    assert column_of(TEXT, is_own=False).values is None
