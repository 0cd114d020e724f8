"""How far a run has come: committed with the output in one atomic step, and read when it is resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Chunk, Counts


class Range(msgspec.Struct, frozen=True, array_like=True):
    """A part of one input, in its own unit (bytes or rows).

    ``is_last`` says that nothing of the input follows; ``key`` is that of its last chunk, see ``Chunk``.
    """

    source: int
    start: int
    end: int
    is_last: bool = False
    key: str | None = None


def _place(part: Range) -> tuple[int, int, int, bool]:
    """Return what orders ranges: their keys, which may be none, do not."""
    return part.source, part.start, part.end, part.is_last


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a run after its last commit.

    Attributes:
        next: Number of the chunk to be committed next, in ordered runs.
        source: Index of the input that is under way; those before it are done. If all are, their number.
        offset: Everything of it before this is done.
        key: Of the chunk that ends at ``offset``; see ``Chunk``.
        rows: Records of it so far, empty lines included, for the row numbers of dead letters.
        beyond: What is done after that, in unordered runs.
        out: Length of the sink: bytes, or parts, as it counts.
        dead: Bytes of the dead-letter file.
        layout: The sink's columns, once they are known.
        counts: What became of the rows.
        codes: code of failures -> how many.
        is_begun: The run has begun, and what the dead-letter file holds is its own.
        is_done: The run is over, and its output in place.
    """

    next: int = 0
    source: int = 0
    offset: int = 0
    key: str | None = None
    rows: int = 0
    beyond: tuple[Range, ...] = ()
    out: int = 0
    dead: int = 0
    layout: bytes | None = None
    counts: Counts = msgspec.field(default_factory=Counts)
    codes: dict[str, int] = msgspec.field(default_factory=dict)
    is_begun: bool = False
    is_done: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read when it was committed, so that nothing is lost with it."""
        return not (self.is_done or self.counts.read or self.counts.blank)

    @property
    def done(self) -> tuple[Range, ...]:
        """Everything that is done of the input that is under way and of later ones, in order."""
        head = (Range(self.source, 0, self.offset, key=self.key),) if self.offset else ()
        return head + self.beyond


class SourceMark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What tells one state of an input from another.

    Attributes:
        name: Path, URL or query.
        size: Bytes or rows; None where nobody knows before the end.
        changed_ns: Time of its last change.
        digest: Of its first and last 64 KiB.
    """

    name: str
    size: int | None = None
    changed_ns: int | None = None
    digest: str | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint is of: it may only be resumed with all of this the same.

    Attributes:
        version: Of the format of checkpoints.
        sources: The inputs, in order.
        handler: ``module:name``.
        options: What decides the output, and nothing else (no sizes of batches, no number of workers).
    """

    version: int
    sources: tuple[SourceMark, ...]
    handler: str
    options: dict[str, Any]


def differences(old: Identity, new: Identity) -> list[str]:
    """Return why a run that began as *old* cannot go on as *new*, each in one line for people."""
    found: list[str] = []
    if old.version != new.version:
        found.append(
            f"another version of Gristmill began it (checkpoint {old.version}, this is {new.version})"
        )
    if old.handler != new.handler:
        found.append(f"the handler was {old.handler}, and is now {new.handler}")
    was, now = [each.name for each in old.sources], [each.name for each in new.sources]
    if was != now:
        found.append(f"the inputs were {_shown(was)}, and are now {_shown(now)}")
    else:
        found += [
            f"{after.name} has changed since ({_change(before, after)})"
            for before, after in zip(old.sources, new.sources, strict=True)
            if before != after
        ]
    for name in sorted(old.options.keys() | new.options.keys()):
        before, after = old.options.get(name), new.options.get(name)
        if before != after:
            found.append(f"{name} was {before}, and is now {after}")
    return found


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004 - three fit a line


def _change(before: SourceMark, after: SourceMark) -> str:
    if before.size != after.size:
        return f"it had {before.size:,} bytes, and has {after.size:,}"
    return "its content is another" if before.digest != after.digest else "its time of change is another"


def check_same(old: Identity, new: Identity, place: str) -> None:
    """Refuse to resume a run that was not this one.

    Args:
        old: What the checkpoint says.
        new: What was asked for now.
        place: Where the checkpoint is.

    Raises:
        ConfigurationError: They differ.
    """
    found = differences(old, new)
    if found:
        raise ConfigurationError(
            f"{place} is the checkpoint of another run: {'; '.join(found)}. Use --overwrite to throw away "
            "what it has written and begin anew, or another output"
        )


def resumable(old: Identity, checkpoint: Checkpoint | None, new: Identity, place: str) -> Checkpoint | None:
    """Return *checkpoint* if the run that left it can go on as *new*; None if it had not come anywhere.

    Args:
        old: What the run was.
        checkpoint: How far it came; None if it committed nothing.
        new: What was asked for now.
        place: Where the checkpoint is.

    Raises:
        ConfigurationError: It did come somewhere, and was another run.
    """
    if checkpoint is None or (checkpoint.is_empty and differences(old, new)):
        return None
    check_same(old, new, place)
    return checkpoint


class Progress:
    """Grows a checkpoint as results are written, in order or not.

    Args:
        checkpoint: Where to go on from.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._last = checkpoint
        self._next = checkpoint.next
        self._source = checkpoint.source
        self._offset = checkpoint.offset
        self._key = checkpoint.key
        self._rows = checkpoint.rows
        self._beyond = list(checkpoint.beyond)
        self.layout = checkpoint.layout
        self.counts = Counts()
        self.counts.add(checkpoint.counts)
        self.codes = dict(checkpoint.codes)

    @property
    def rows(self) -> int:
        """Records of the input under way before the next chunk, in ordered runs."""
        return self._rows

    def add(self, chunk: Chunk, counts: Counts, codes: dict[str, int]) -> None:
        """Note that *chunk* is written."""
        self.counts.add(counts)
        for code, number in codes.items():
            self.codes[code] = self.codes.get(code, 0) + number
        self._next = max(self._next, chunk.number + 1)
        self._rows += counts.read + counts.blank
        self._beyond.append(Range(chunk.source, chunk.start, chunk.end, chunk.is_last, chunk.key))
        self._beyond.sort(key=_place)
        self._absorb()

    def _absorb(self) -> None:
        """Move the watermark over what is done right after it, and from an input that is done to the next."""
        while self._beyond:
            first = self._beyond[0]
            if first.source != self._source or first.start > self._offset:
                break
            del self._beyond[0]
            if first.is_last:
                self._source, self._offset, self._rows, self._key = self._source + 1, 0, 0, None
            elif first.end >= self._offset:
                self._offset, self._key = first.end, first.key

    def checkpoint(self, *, out: int, dead: int, is_done: bool = False) -> Checkpoint:
        """Return the checkpoint of now, with the lengths of what was written."""
        counts = Counts()
        counts.add(self.counts)
        return Checkpoint(
            next=self._next,
            source=self._source,
            offset=self._offset,
            key=self._key,
            rows=self._rows,
            beyond=tuple(self._beyond),
            out=out,
            dead=dead,
            layout=self.layout,
            counts=counts,
            codes=dict(self.codes),
            is_begun=True,
            is_done=is_done,
        )


def gaps(done: Iterable[Range], source: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what is left of [start, end) of *source*, in order.

    >>> list(gaps([Range(0, 0, 10), Range(0, 20, 30)], 0, 0, 50))
    [(10, 20), (30, 50)]
    """
    at = start
    for each in sorted(done, key=_place):
        if each.source != source or each.end <= at:
            continue
        if each.start >= end:
            break
        if each.start > at:
            yield at, each.start
        at = each.end
    if at < end:
        yield at, end
