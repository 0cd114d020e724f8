"""Results of a job, item by item: as they were settled, or in the order of the items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import structs

from gristmill.errors import ConfigurationError
from gristmill.model.chunk import each_place
from gristmill.model.lease import Result, ResultKind
from gristmill.model.settling import Failure
from gristmill.queue.store import Store

_PAGE = 20
_WINDOW = 1000
_ORDERED = "i"
_DIGITS = 18  # more fit into no store's numbers

Ids: TypeAlias = Sequence[str | None]

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_FAILURES = msgspec.json.Decoder(list[Failure])


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """The final outcome of one item of a job.

    Attributes:
        place: The item's place in the job, from 0.
        id: The caller's id of it, if it gave one.
        kind: Whether it succeeded, failed or was cancelled.
        value: JSON of its value, if it succeeded.
        failure: What went wrong, if it failed.
        cursor: Where a reader in the same order goes on after this one.
    """

    place: int
    id: str | None = None
    kind: ResultKind
    value: msgspec.Raw | None = None
    failure: Failure | None = None
    cursor: str

    def decoded(self, kind: Any = Any) -> Any:
        """Return the value, as *kind*; None without one."""
        return None if self.value is None else msgspec.json.decode(self.value, type=kind)


def explode(result: Result, *, skip: int = 0, ids: Ids = ()) -> Iterator[ItemResult]:
    """Yield the items of *result*, but for the first *skip*, with their *ids*, which are by place or none."""
    if result.kind is None:
        return
    values = _RAWS.decode(result.body) if result.kind is ResultKind.SUCCEEDED else []
    failures = _FAILURES.decode(result.body) if result.kind is ResultKind.FAILED else []
    for index, place in enumerate(each_place(result.places)):
        if index >= skip:
            yield ItemResult(
                place=place,
                id=ids[place] if ids else None,
                kind=result.kind,
                value=values[index] if values else None,
                failure=failures[index] if failures else None,
                cursor=f"{result.number}.{index + 1}",
            )


def read_cursor(cursor: str) -> tuple[int, int]:
    """Return the number of the result that *cursor* stands in, and how many of its items were read.

    Raises:
        ConfigurationError: It is no cursor.
    """
    number, _, index = cursor.partition(".")
    if not (_is_count(number) and _is_count(index)):
        raise ConfigurationError(f"{cursor!r} is no cursor: use that of a result that was read before")
    return int(number), int(index)


def read_place(cursor: str) -> int:
    """Return the place of the item after that of an ordered result with *cursor*.

    Raises:
        ConfigurationError: It is no cursor of one.
    """
    if cursor[:1] != _ORDERED or not _is_count(cursor[1:]):
        raise ConfigurationError(f"{cursor!r} is no cursor of ordered results: use that of one that was read")
    return int(cursor[1:])


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


async def as_settled(
    store: Store, job: str, *, after: str | None = None, kind: ResultKind | None = None, ids: Ids = ()
) -> AsyncIterator[ItemResult]:
    """Yield the outcomes there are now, in the order of settling, those after the cursor *after*."""
    number, index = (0, 0) if after is None else read_cursor(after)
    # The result that the cursor stands in is read again, without what was read of it.
    last = number - 1 if index else number
    while page := await store.results(job, after=max(0, last), kind=kind, limit=_PAGE):
        for result in page:
            for item in explode(result, skip=index if result.number == number else 0, ids=ids):
                yield item
        last = page[-1].number


async def in_order(
    store: Store, job: str, total: int, *, first: int = 0, ids: Ids = ()
) -> AsyncIterator[ItemResult]:
    """Yield outcomes in the order of the items, from place *first* up to the first that has none yet."""
    while first < total:
        last = min(total, first + _WINDOW) - 1
        found: dict[int, ItemResult] = {}
        for result in await store.results_between(job, first, last):
            if result.kind is None:  # these run again: they have no outcome, until another one comes
                for place in each_place(result.places):
                    found.pop(place, None)
            else:
                found.update((item.place, item) for item in explode(result, ids=ids))
        for place in range(first, last + 1):
            if place not in found:
                return
            yield structs.replace(found[place], cursor=f"{_ORDERED}{place + 1}")
        first = last + 1
