"""What encoders for tables have in common."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.sinks.protocol import EncoderRecipe
from gristmill.streams.sql.parts import load_parts
from gristmill.streams.sql.postgres.encoding import CopyRecipe
from gristmill.streams.sql.sqlite.encoding import ValuesRecipe

RECIPES = (
    CopyRecipe(table="t", kinds={"a": "", "b": ""}, is_order_kept=False),
    ValuesRecipe(table="t", names=("a", "b"), is_order_kept=False),
)


class Unwritable:
    pass


@pytest.mark.parametrize("recipe", RECIPES)
def test_columns_are_refused(recipe: EncoderRecipe) -> None:
    with pytest.raises(ConfigurationError, match="a table takes rows"):
        recipe.column_encoder()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_row_that_cannot_be_written_is_left_out_and_the_others_keep_their_places(
    recipe: EncoderRecipe,
) -> None:
    results: list[Any] = [{"a": 1}, {"a": Unwritable()}, {"a": 2, "b": 3}, {"a": 4}, {"c": 5}, Unwritable()]
    body, bad = recipe.rows(Any).encode(results, None)
    assert isinstance(body, bytes)
    assert {index: why.partition(":")[0] for index, why in bad.items()} == {
        1: "the result cannot be written to the table",
        4: "the result has c, and the table t has only a, b",
        5: "the result has value, and the table t has only a, b",
    }
    places = {part.columns: [part.index(row) for row in range(part.count)] for part in load_parts(body)}
    assert places == {("a",): [0, 3], ("a", "b"): [2]}
