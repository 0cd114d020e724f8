"""Ask the user's functions about an item, once, in the caller's frame."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from gristmill.batching.batch import Mark
from gristmill.errors import ConfigurationError
from gristmill.model.limits import Limits


class Sorter:
    """Finds the key and the mark of items.

    What ``key``, ``weigh`` or ``dedupe`` raise goes to the caller who brought
    the item, and to nobody else.
    """

    __slots__ = ("_identify", "_key", "_takes_context", "_weigh")

    def __init__(self, limits: Limits, *, takes_context: bool) -> None:
        self._key = limits.key
        self._weigh = limits.weigh
        self._identify: Callable[[Any], Hashable] | None = None
        if limits.dedupe:
            self._identify = limits.dedupe if callable(limits.dedupe) else _itself
        self._takes_context = takes_context

    def sort(self, item: Any, context: contextvars.Context | None = None) -> tuple[Hashable, Mark]:
        """Return the key and the mark of *item*."""
        key = None if self._key is None else self._key(item)
        weight = 0.0 if self._weigh is None else self._weight(self._weigh(item))
        ident = None if self._identify is None else self._identify(item)
        try:
            hash(key), hash(ident)
        except TypeError as error:
            raise TypeError(
                f"key and dedupe need something hashable of each item: {error}; give a function of the item"
            ) from error
        if self._takes_context and context is None:
            context = contextvars.copy_context()
        return key, Mark(weight, ident, context)

    def sort_all(self, items: Sequence[Any]) -> tuple[list[Hashable] | None, list[Mark]]:
        """Return the keys (None without ``key``) and the marks of a caller's list."""
        context = contextvars.copy_context() if self._takes_context else None
        sorted_items = [self.sort(item, context) for item in items]
        keys = None if self._key is None else [key for key, _ in sorted_items]
        return keys, [mark for _, mark in sorted_items]

    @staticmethod
    def _weight(weight: Any) -> float:
        if not isinstance(weight, int | float) or not weight >= 0:
            raise ConfigurationError(f"weigh must return a number of 0 or more, not {weight!r}")
        return weight


def _itself(item: Any) -> Hashable:
    found: Hashable = item
    return found
