"""Server-sent events, as far as jobs need them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: Its type; ``message`` without one.
        data: Its lines, joined.
        id: What to send as ``Last-Event-ID``; empty before the first.
    """

    name: str
    data: str
    id: str


_LARGEST = 1 << 20
"""Bytes of one line; a job has a few hundred."""
_DIGITS = 9
"""Of the milliseconds to wait, at most."""


class EventTooLarge(Exception):
    """What comes is no event of a job."""


class EventReader:
    """Reads events out of bytes as they come (the event stream of the WHATWG HTML standard).

    Attributes:
        last_id: The id of the last event.
        retry: Seconds after which the server wants to be asked again.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = 2.0
        self._rest: list[bytes] = []
        self._held = 0
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that *piece* completes.

        Raises:
            EventTooLarge: A line has no end.
        """
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest, self._held = [], 0
        self._rest.append(last)
        self._held += len(last)
        if self._held > _LARGEST:
            raise EventTooLarge(f"a line of an event has more than {_LARGEST} bytes")
        for raw in lines:
            line = raw.removesuffix(b"\r").decode(errors="replace")
            if line:
                self._field(*line.split(":", 1)) if ":" in line else self._field(line, "")
                continue
            if self._data:
                yield Event(self._name or "message", "\n".join(self._data), self.last_id)
            self._name, self._data = "", []

    def _field(self, name: str, value: str) -> None:
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and value.isascii() and value.isprintable():
            self.last_id = value
        elif name == "retry" and value.isdecimal():
            self.retry = int(value[:_DIGITS]) / 1000
