"""Which batch sizes to try: steps that are even on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Iterable

from gristmill.errors import ConfigurationError

_STEPS = (1, 2, 5)
FEWEST = 2
"""Sizes that tell the fixed cost from the cost of an item."""


def ladder(largest: int) -> tuple[int, ...]:
    """Return 1, 2, 5, 10, 20 and so on up to *largest*, which is the last one.

    >>> ladder(60)
    (1, 2, 5, 10, 20, 60)

    A step that is less than a quarter below *largest* gives way to it.
    """
    sizes: list[int] = []
    power = 1
    while power <= largest:
        sizes += [step * power for step in _STEPS if step * power <= largest]
        power *= 10
    if len(sizes) > FEWEST and sizes[-1] > largest * 3 / 4:
        sizes.pop()
    return tuple(sorted({*sizes, largest}))


def chosen(sizes: Iterable[int]) -> tuple[int, ...]:
    """Return *sizes* in order, each once.

    Raises:
        ConfigurationError: One is below 1, or there are fewer than two.
    """
    ordered = tuple(sorted(set(sizes)))
    if len(ordered) < FEWEST or ordered[0] < 1:
        raise ConfigurationError(
            f"sizes are {FEWEST} or more numbers of items, each at least 1, such as 1,10,100; "
            f"got {','.join(map(str, ordered)) or 'none'}"
        )
    return ordered
