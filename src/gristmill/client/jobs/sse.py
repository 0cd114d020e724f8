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


_DIGITS = 9
"""Of the milliseconds to wait, at most."""


class EventReader:
    """Reads events out of bytes as they come (the event stream of the WHATWG HTML standard).

    Attributes:
        last_id: The id of the last event.
        retry: Seconds after which the server wants to be asked again.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self.retry = 2.0
        self._rest = b""
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that *piece* completes."""
        *lines, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        for raw in lines:
            line = raw.decode(errors="replace")
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
