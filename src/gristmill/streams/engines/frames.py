"""Messages between a pool and its workers: a small header, then a body of any size that is never copied.

``Connection.send`` pickles the body into one more copy of it, ``recv`` makes
two more and cannot stop half-way; here the body goes from the sender's buffer
to the socket, and from the socket into the buffer that is handed out.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from typing import TypeAlias

from gristmill.errors import GristmillError

Body: TypeAlias = bytes | bytearray | memoryview

_PREFIX = struct.Struct("<4sQQ")  # magic, bytes of the header, bytes of the body
_MAGIC = b"gmF1"
_LONGEST_HEADER = 1 << 34
_SMALL = 16384  # bytes of a body that are better copied than sent by a call of their own

# Windows has no such flag.
_WAIT_ALL: int = 0 if sys.platform == "win32" else socket.MSG_WAITALL


class TornFrame(GristmillError):
    """The peer sent what is no frame: something else wrote to its socket."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message: *header* is for the receiver to read, *body* for it to hand on."""

    header: bytes | bytearray
    body: Body


def flat(body: Body) -> memoryview:
    """Return the bytes of *body*, one after another; copied only where they are not so already."""
    view = memoryview(body)
    return (view if view.c_contiguous else memoryview(view.tobytes())).cast("B")


def pack(header: bytes, body: Body = b"") -> list[memoryview]:
    """Return what to send for a message, in order; a large body is the caller's own memory."""
    view = flat(body)
    prefix = _PREFIX.pack(_MAGIC, len(header), view.nbytes)
    if view.nbytes <= _SMALL:
        return [memoryview(b"".join((prefix, header, view)))]
    return [memoryview(prefix + header), view]


class FrameReader:
    """Puts a frame together from what comes in, in pieces of any size.

    Fill ``space()`` and say how much it was with ``filled()``, in turns.
    """

    __slots__ = ("_body", "_done", "_header", "_into", "_prefix")

    def __init__(self) -> None:
        self._prefix = bytearray(_PREFIX.size)
        self._header = self._body = bytearray()
        self._into = self._prefix
        self._done = 0

    def space(self) -> memoryview:
        """Return where the next bytes go; never empty."""
        return memoryview(self._into)[self._done :]

    def filled(self, count: int) -> Frame | None:
        """Note that the first *count* bytes of ``space()`` are there; return the frame once it is whole.

        Raises:
            TornFrame: It is none.
        """
        self._done += count
        while self._done == len(self._into):
            if self._into is self._prefix:
                header, body = _lengths(self._prefix)
                self._header, self._body = bytearray(header), bytearray(body)
                self._into = self._header
            elif self._into is self._header and self._body:
                self._into = self._body
            else:
                frame = Frame(self._header, self._body)
                self._begin()
                return frame
            self._done = 0
        return None

    def _begin(self) -> None:
        self._header = self._body = bytearray()
        self._into = self._prefix
        self._done = 0


def send(sock: socket.socket, header: bytes, body: Body = b"") -> None:
    """Send a message and wait until it is on its way.

    Raises:
        OSError: Nobody is there to take it.
    """
    for part in pack(header, body):
        sock.sendall(part)


def receive(sock: socket.socket) -> Frame | None:
    """Wait for a message; None: the peer has hung up. The body is ``bytes``, read without a copy.

    Raises:
        TornFrame: It is none.
        OSError: The socket is unusable.
    """
    prefix = _exactly(sock, _PREFIX.size)
    if prefix is None:
        return None
    header_length, body_length = _lengths(prefix)
    header = _exactly(sock, header_length)
    body = _exactly(sock, body_length) if body_length else b""
    return None if header is None or body is None else Frame(header, body)


def _exactly(sock: socket.socket, count: int) -> bytes | None:
    first = sock.recv(count, _WAIT_ALL)
    if len(first) == count:
        return first
    parts = [first]
    missing = count - len(first)
    while missing:
        part = sock.recv(missing, _WAIT_ALL)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    magic, header, body = _PREFIX.unpack(prefix)
    if magic != _MAGIC or not 0 < header < _LONGEST_HEADER:
        raise TornFrame("a worker process sent what is no message; does something else write to its sockets?")
    return header, body
