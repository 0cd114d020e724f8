"""How much goes into one request, as far as the server has told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gristmill.client.sealed import Sealed
from gristmill.errors import RequestRefused

_AROUND = 2
"""Bytes of a body that are no item: the brackets of the array."""


def size_of(items: Sequence[Sealed]) -> int:
    """Return the bytes of the body of *items*, or a few more."""
    return _AROUND + len(items) + sum([item.size for item in items])


class Learnt:
    """The limits of one route; they only shrink.

    Attributes:
        items: In one request at most.
        size: Bytes of one body at most.
        keeps_answers: Whether the server keeps answers by ``Idempotency-Key``, and refuses what is said to
            be a repeat of a request that it does not know.
    """

    def __init__(self, items: int, size: int) -> None:
        self.items = items
        self.size = size
        self.keeps_answers = False

    def at_most(self, items: int, size: int) -> None:
        """Keep to these too."""
        self.items = max(1, min(self.items, items))
        self.size = max(1, min(self.size, size))

    def learn(self, error: RequestRefused) -> None:
        """Keep to what a refusal (413) tells."""
        self.at_most(error.limit_items or self.items, error.limit_bytes or self.size)

    def learn_from(self, parts: Sequence[Sequence[Sealed]]) -> None:
        """Keep to the largest of the *parts* that a server took which had refused them together.

        Args:
            parts: Of one batch; where the server did not say what was too much about it.
        """
        if all(item.size for part in parts for item in part):
            self.at_most(self.items, max(map(size_of, parts)))  # proxies count bytes
        else:
            self.at_most(max(map(len, parts)), self.size)

    def cut(self, items: Sequence[Sealed]) -> Iterator[Sequence[Sealed]]:
        """Yield *items* in parts that keep to the limits; one that is too large alone is a part."""
        if 0 < len(items) <= self.items and size_of(items) <= self.size:
            yield items
            return
        start, size = 0, _AROUND
        for index, item in enumerate(items):
            more = item.size + 1
            if index > start and (index - start >= self.items or size + more > self.size):
                yield items[start:index]
                start, size = index, _AROUND
            size += more
        if start < len(items):
            yield items[start:]
