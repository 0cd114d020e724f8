"""A typed handler for the flights that left New York in 2013."""

from __future__ import annotations

import msgspec

from gristmill import batch


class Flight(msgspec.Struct):
    """What is wanted of a row. A flight that never left has ``NA`` for a delay, which is no number."""

    carrier: str
    flight: int
    origin: str
    dest: str
    dep_delay: int
    distance: int


class Late(msgspec.Struct):
    """How late a flight left, and how much of it by mile."""

    carrier: str
    flight: int
    route: str
    delay: int
    per_mile: float


@batch(max_size=1000)
def late(flights: list[Flight]) -> list[Late | None]:
    """Return the flights that left late; drop those that did not."""
    return [
        Late(
            each.carrier,
            each.flight,
            f"{each.origin}-{each.dest}",
            each.dep_delay,
            each.dep_delay / each.distance,
        )
        if each.dep_delay > 0
        else None
        for each in flights
    ]
