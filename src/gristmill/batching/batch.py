"""One batch and where its answers go: single callers first, then slices of callers' lists."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, count
from typing import Any, NamedTuple, Protocol

from gristmill.batching.context import BatchInfo
from gristmill.model.flush import FlushReason

_KEPT = 1000  # items of a stream that may lie behind its head


class Waiter(Protocol):
    """One caller's future: asyncio's, or one of another thread's."""

    def done(self) -> bool:
        """Tell whether it needs no answer any more."""

    def cancelled(self) -> bool:
        """Tell whether its caller gave it up."""

    def set_result(self, result: Any, /) -> None:
        """Answer it; raises InvalidStateError when it is done already."""

    def set_exception(self, exception: Exception, /) -> None:
        """Fail it; raises InvalidStateError when it is done already."""


class Mark(NamedTuple):
    """What the options of a handler note about one item when it comes."""

    weight: float
    ident: Any  # what dedupe compares
    context: contextvars.Context | None


class Owner(Protocol):
    """Who handed over a list: it takes the answers back in any order."""

    @property
    def is_dead(self) -> bool:
        """Whether nobody waits any more, so that items not yet sent are dropped."""

    def deliver(
        self, positions: Sequence[int], values: Sequence[Any], errors: Mapping[int, Exception]
    ) -> None:
        """Take answers: ``values[k]``, or ``errors[k]``, is that of ``positions[k]`` of the caller's list."""


class Part:
    """The items of one caller's list that share a key; batches take them in order.

    Attributes:
        owner: Takes the answers.
        items: In the caller's order; a stream's part still grows.
        positions: Index of each item in the caller's list; None when they are the same.
        marks: One for each item where the handler's options need them; else None.
        time: When the list came, on the loop's clock.
        head: Items already taken.
    """

    __slots__ = ("head", "items", "marks", "owner", "positions", "time")

    def __init__(
        self,
        owner: Owner,
        items: list[Any],
        time: float,
        *,
        positions: list[int] | None = None,
        marks: list[Mark] | None = None,
    ) -> None:
        self.owner = owner
        self.items = items
        self.positions = positions
        self.marks = marks
        self.time = time
        self.head = 0

    def __len__(self) -> int:
        """Items that no batch has taken yet."""
        return 0 if self.owner.is_dead else len(self.items) - self.head

    def append(self, position: int, item: Any, mark: Mark | None) -> None:
        """Add an item of a stream, with its index in the source."""
        if self.head > _KEPT and 2 * self.head > len(self.items):
            # What batches have taken is not kept for as long as the stream lasts.
            for column in (self.items, self.positions, self.marks):
                if column is not None:
                    del column[: self.head]
            self.head = 0
        self.items.append(item)
        if self.positions is not None:
            self.positions.append(position)
        if mark is not None and self.marks is not None:
            self.marks.append(mark)

    def where(self, start: int, stop: int) -> Sequence[int]:
        """Return the positions, in the caller's list, of the items from *start* to *stop*."""
        return range(start, stop) if self.positions is None else self.positions[start:stop]


class Slice(NamedTuple):
    """Some items of one caller's list, in one batch."""

    owner: Owner
    positions: Sequence[int]
    time: float


class Batch:
    """The items of one handler call, with their waiters.

    ``items`` holds those of ``waiters`` first, then those of each slice.

    Attributes:
        times: When each waiter called, ascending.
        contexts: Of each item, or empty where the handler takes no context.
        weights: Of each item, or empty without ``weigh``.
        idents: What dedupe compares, of each item; None without dedupe.
        is_full: Whether the size cap closed it.
        is_abandoned: Whether its waiters were answered without waiting for the handler.
        attempt: 1 for the first try.
        number: Counts the batches of a process.
        started: When its handler call began, on the loop's clock.
        seconds: From then to its answer.
        transaction: For the handler's context.
    """

    __slots__ = (
        "_info", "attempt", "contexts", "idents", "is_abandoned", "is_full", "items", "number", "reason",
        "seconds", "slices", "started", "times", "transaction", "waiters", "weights",
    )  # fmt: skip

    def __init__(self, reason: FlushReason) -> None:
        self.reason = reason
        self.items: list[Any] = []
        self.waiters: list[Waiter] = []
        self.times: list[float] = []
        self.slices: list[Slice] = []
        self.contexts: list[contextvars.Context] = []
        self.idents: list[Any] | None = None
        self.weights: list[float] = []
        self.is_full = False
        self.is_abandoned = False
        self.attempt = 1
        self.number = 0
        self.started = 0.0
        self.seconds = 0.0
        self.transaction: Any = None
        self._info: BatchInfo | None = None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.items)

    def __repr__(self) -> str:
        """Show what tests and logs want to see."""
        shape = f"{len(self.items)} items, {len(self.waiters)} waiters"
        return f"<Batch {shape}, {self.reason}, attempt {self.attempt}>"

    def add_slice(self, part: Part, stop: int) -> None:
        """Take the items of *part* up to *stop*."""
        start, part.head = part.head, stop
        self.items += part.items[start:stop]
        self.slices.append(Slice(part.owner, part.where(start, stop), part.time))

    def add_mark(self, mark: Mark) -> None:
        """Note what an item's mark says; called once for each item, in their order."""
        self.weights.append(mark.weight)
        if mark.context is not None:
            self.contexts.append(mark.context)
        if self.idents is not None:
            self.idents.append(mark.ident)

    @property
    def singles_weight(self) -> float:
        """Summed weight of the single calls; lists account for theirs."""
        return math.fsum(self.weights[: len(self.waiters)])

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for an item of it."""
        return any(not waiter.done() for waiter in self.waiters) or any(
            not piece.owner.is_dead for piece in self.slices
        )

    def split_live(self) -> tuple[list[int], list[int]]:
        """Return the indices of the items that somebody still waits for, and those of the others."""
        is_live = [not waiter.done() for waiter in self.waiters]
        for piece in self.slices:
            is_live += [not piece.owner.is_dead] * len(piece.positions)
        return list(compress(count(), is_live)), [i for i, live in enumerate(is_live) if not live]

    def info(self, prefix: str) -> BatchInfo:
        """Return what callers may know of it, once it is answered; *prefix* begins its id."""
        if self._info is None:
            self._info = BatchInfo(
                id=f"{prefix}-{self.number}", size=len(self.items), handler_seconds=max(0.0, self.seconds)
            )
        return self._info

    def subset(self, indices: Sequence[int], reason: FlushReason) -> Batch:
        """Return a batch of some of the items, in the order of *indices* (ascending)."""
        part = Batch(reason)
        part.attempt = self.attempt
        part.items = [self.items[i] for i in indices]
        if self.weights:
            part.weights = [self.weights[i] for i in indices]
        if self.contexts:
            part.contexts = [self.contexts[i] for i in indices]
        if self.idents is not None:
            part.idents = [self.idents[i] for i in indices]
        singles = [i for i in indices if i < len(self.waiters)]
        part.waiters = [self.waiters[i] for i in singles]
        part.times = [self.times[i] for i in singles]
        wanted = set(indices)
        for start, piece in self.bounds():
            kept = [p for k, p in enumerate(piece.positions) if start + k in wanted]
            if kept:
                part.slices.append(Slice(piece.owner, kept, piece.time))
        return part

    def bounds(self) -> Iterator[tuple[int, Slice]]:
        """Yield each slice with the index of its first item."""
        start = len(self.waiters)
        for piece in self.slices:
            yield start, piece
            start += len(piece.positions)
