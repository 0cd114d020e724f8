"""Dicts of a file become the items a handler takes, one by one, so that a bad one fails alone."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol, get_args, get_origin

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook
from gristmill.streams.sources.protocol import BadRow


class Converter(Protocol):
    """Makes items of rows."""

    def many(self, rows: Sequence[Any]) -> list[Any]:
        """Return the items of *rows*; raises what ``one`` raises at a row that is none."""

    def one(self, row: Any) -> Any:
        """Return the item of *row*; raises what its type says against it, mostly a ``ValueError``."""

    def all(
        self, rows: Sequence[Any], numbers: Sequence[int]
    ) -> tuple[list[Any], Sequence[int], dict[int, BadRow]]:
        """Return the items, the number of each, and number -> what is wrong with those that are none."""


def converter(item_type: Any) -> Converter | None:
    """Return what makes *item_type* of a dict; None where a dict of strings will do."""
    if item_type in (Any, object, dict) or _is_dict_of_strings(item_type):
        return None
    if pydantic_models.mentions_model(item_type):
        return _Pydantic(item_type)
    return _Msgspec(item_type)


def _is_dict_of_strings(item_type: Any) -> bool:
    return get_origin(item_type) is dict and set(get_args(item_type)) <= {str, Any, object}


class _Each:
    """Converts row by row after the first bad one."""

    def all(
        self, rows: Sequence[Any], numbers: Sequence[int]
    ) -> tuple[list[Any], Sequence[int], dict[int, BadRow]]:
        with contextlib.suppress(Exception):  # one of them is bad; it is said of that one below
            return self.many(rows), numbers, {}
        items: list[Any] = []
        kept: list[int] = []
        bad: dict[int, BadRow] = {}
        for row, number in zip(rows, numbers, strict=True):
            try:
                items.append(self.one(row))
            except Exception as error:  # noqa: BLE001 - a validator may raise what it likes
                bad[number] = BadRow(
                    stage="validate", code="invalid_item", message=pydantic_models.told(error)
                )
            else:
                kept.append(number)
        return items, kept, bad

    def many(self, rows: Sequence[Any]) -> list[Any]:
        return [self.one(row) for row in rows]

    def one(self, row: Any) -> Any:
        """Return the item; an empty cell that its field cannot take leaves it to its default."""
        try:
            return self._made(row)
        except Exception:
            filled = (
                {name: cell for name, cell in row.items() if cell != ""} if isinstance(row, dict) else row
            )
            if len(filled) == len(row):
                raise
            try:
                return self._made(filled)
            except Exception:  # noqa: BLE001, S110 - the first error says it of the row as it is
                pass
            raise

    def _made(self, row: Any) -> Any:
        raise NotImplementedError


class _Msgspec(_Each):
    """Strings become numbers, truths and times where the type wants them."""

    def __init__(self, item_type: Any) -> None:
        self._type = item_type
        self._list = list[item_type]

    def many(self, rows: Sequence[Any]) -> list[Any]:
        found: list[Any] = msgspec.convert(rows, self._list, strict=False, dec_hook=decode_hook)
        return found

    def _made(self, row: Any) -> Any:
        return msgspec.convert(row, self._type, strict=False, dec_hook=decode_hook)


class _Pydantic(_Each):
    """Pydantic converts strings itself."""

    def __init__(self, item_type: Any) -> None:
        if pydantic_models.is_model(item_type):
            self._validate = item_type.__pydantic_validator__.validate_python
        else:
            from pydantic import TypeAdapter  # noqa: PLC0415 - an optional extra, here in its own adapter

            self._validate = TypeAdapter(item_type).validate_python

    def _made(self, row: Any) -> Any:
        return self._validate(row)
