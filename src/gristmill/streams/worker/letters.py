"""The dead letters of one chunk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook
from gristmill.model.outcome import Failed
from gristmill.streams.chunk import Crash, Refusal
from gristmill.streams.dead_letter import DeadLetter, raw_fields
from gristmill.streams.sources.protocol import BadRow, ColumnReader, Columns, Place, RowReader

_ENCODER = msgspec.json.Encoder(enc_hook=encode_hook)


class Letters:
    """Collects what failed in a chunk; where its rows are is looked up when the first one fails.

    Args:
        reader: Of the chunk.
        source: The input's name.
        blocks: The blocks of the chunk, in order; more may be added.

    Attributes:
        codes: code -> how many failed with it.
        total: How many failed.
    """

    def __init__(self, reader: RowReader | ColumnReader, source: str, *blocks: Columns) -> None:
        self._reader = reader
        self._source = source
        self._starts: list[int] = []
        self._finders: list[Callable[[], Sequence[Place]]] = []
        self._places: dict[int, Sequence[Place]] = {}
        self._letters: dict[int, DeadLetter] = {}
        self.codes: dict[str, int] = {}
        for block in blocks:
            self.open(0, block.places)

    def open(self, start: int, places: Callable[[], Sequence[Place]]) -> None:
        """Begin a block: its first record has the number *start*."""
        self._starts.append(start)
        self._finders.append(places)

    @property
    def total(self) -> int:
        """How many failed."""
        return len(self._letters)

    def bad(self, number: int, bad: BadRow) -> None:
        """Note a row that is none."""
        place = self._place(number)
        kept: dict[str, Any] = raw_fields(place.raw)
        if place.origin is not None and place.origin.item is not msgspec.UNSET:
            kept = {"item": place.origin.item}
        elif bad.stage == "validate" and (item := self._reader.original(place, None)) is not None:
            kept = {"item": item}
        self._add(number, place, bad.stage, bad.code, bad.message, **kept)

    def crash(self, number: int, crash: Crash) -> None:
        """Note a row that killed its worker."""
        place = self._place(number)
        self._add(
            number, place, "crash", crash.code, crash.message,
            attempts=crash.deaths, item=self._reader.original(place, None),
        )  # fmt: skip

    def refused(self, number: int, refusal: Refusal) -> None:
        """Note a row whose result the sink did not take."""
        place = self._place(number)
        self._add(
            number, place, "sink", refusal.code, refusal.message,
            attempts=1, item=self._reader.original(place, None),
        )  # fmt: skip

    def failed(
        self, number: int, item: Any, failed: Failed, attempts: int, *, stage: str = "handler"
    ) -> None:
        """Note a row that the handler failed, or whose result is of no use."""
        place = self._place(number)
        message = failed.error if isinstance(failed.error, str) else _reason(failed.error)
        self._add(
            number,
            place,
            stage,
            failed.code,
            message,
            attempts=attempts,
            item=self._reader.original(place, item),
        )

    def _place(self, number: int) -> Place:
        block = bisect_right(self._starts, number) - 1
        places = self._places.get(block)
        if places is None:
            places = self._places[block] = self._finders[block]()
        return places[number - self._starts[block]]

    def _add(self, number: int, place: Place, stage: str, code: str, message: str, **more: Any) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1
        origin = place.origin
        self._letters[number] = DeadLetter(
            source=self._source if origin is None else origin.source,
            row=number + 1 if origin is None else origin.row,
            start=place.start if origin is None else origin.start,
            end=place.end if origin is None else origin.end,
            stage=stage,
            code=code,
            message=message,
            **more,
        )

    def lines(self) -> bytes:
        """Return the letters in the order of their rows, one line each."""
        return b"".join(_line(letter) for _, letter in sorted(self._letters.items()))


def _line(letter: DeadLetter) -> bytes:
    try:
        return _ENCODER.encode(letter) + b"\n"
    except Exception:  # noqa: BLE001 - the letter must be written; its item is in the input
        return _ENCODER.encode(msgspec.structs.replace(letter, item=None)) + b"\n"


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"
