"""Reading a request body with a bound on its size, its time and what it unpacks to."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

from gristmill.http.headers import is_gzipped
from gristmill.http.problems import CLOSE, Refused, problem
from gristmill.http.settings import MIB, HttpLimits
from gristmill.http.watch import Verdict, Visit

_LONGEST_LENGTH = 19  # digits; more would only cost time to read
_GZIP = 31  # zlib's wbits for the gzip format with the largest window
_PIECE = 1 << 18
_PART = 1 << 14


class ClientGone(Exception):
    """The caller hung up; there is nobody to answer."""


def too_large(limit: int) -> Refused:
    """Return the refusal of a body of more than *limit* bytes; what is left of it is not read."""
    return Refused(problem("content_too_large", limit_bytes=limit), CLOSE)


async def read_body(
    headers: dict[bytes, bytes], visit: Visit, limits: HttpLimits, limit: int
) -> bytes | bytearray:
    """Return the whole body, decompressed.

    Holds at most *limit* bytes and one chunk, whatever the caller sends.

    Args:
        headers: As ``read_headers`` gives them.
        visit: Of the request, signed in with a ``Watch`` that gives up on slow bodies.
        limits: For the compression ratio.
        limit: Bytes of the body, compressed or not.

    Raises:
        Refused: ``content_too_large``, ``request_timeout``, ``malformed_encoding``
            or ``unsupported_encoding``.
        ClientGone: The caller hung up before the end.
    """
    gzipped = b"content-encoding" in headers and is_gzipped(headers[b"content-encoding"])
    length = headers.get(b"content-length", b"0").strip()  # some servers leave the blanks around a value
    if not length.isdigit() or len(length) > _LONGEST_LENGTH or int(length) > limit:
        raise too_large(limit)
    receive = visit.receive
    try:
        message = await receive()
        if not gzipped and message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            if len(body) > limit:
                raise too_large(limit)
            return body
        unpacked = Gunzip(limit, limits.ratio) if gzipped else Plain(limit)
        while message["type"] == "http.request":
            unpacked.feed(message.get("body", b""))
            if not message.get("more_body", False):
                return unpacked.finish()
            message = await receive()
    except asyncio.CancelledError:
        if visit.settle() is Verdict.LATE:
            detail = f"the body must arrive within {limits.body_timeout:g} seconds"
            raise Refused(problem("request_timeout", detail=detail, retryable=True), CLOSE) from None
        raise
    raise ClientGone


class Plain:
    """Collects a body that comes in chunks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take one *chunk*.

        Raises:
            Refused: The body has become larger than the limit.
        """
        if len(self._body) + len(chunk) > self._limit:
            raise too_large(self._limit)
        self._body += chunk

    def finish(self) -> bytearray:
        """Return the body."""
        return self._body


class Gunzip:
    """Unpacks a gzip body chunk by chunk, never further than allowed.

    Args:
        limit: Bytes of the body, unpacked.
        ratio: Bytes unpacked per byte packed, once more than 1 MiB is unpacked.
    """

    def __init__(self, limit: int, ratio: int) -> None:
        self._unpacker = Unpacker(limit, ratio)
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Unpack one *chunk*.

        Raises:
            Refused: The body is larger than the limit, a bomb, or not gzip.
        """
        for piece in self._unpacker.feed(chunk):
            self._body += piece

    def finish(self) -> bytearray:
        """Return the body.

        Raises:
            Refused: It ended in the middle.
        """
        self._unpacker.finish()
        return self._body


class Unpacker:
    """Unpacks gzip as it comes, in pieces of bounded size; ``Gunzip`` tells the arguments."""

    def __init__(self, limit: int, ratio: int) -> None:
        self._limit = limit
        self._ratio = ratio
        self._packed = 0
        self._size = 0
        self._member = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what *chunk* unpacks to.

        Raises:
            Refused: The body is larger than the limit, a bomb, or not gzip.
        """
        # In small parts: the end of each member copies what is left of its part, and a member may be tiny.
        for start in range(0, len(chunk), _PART):
            yield from self._feed(chunk[start : start + _PART])

    def _feed(self, chunk: bytes) -> Iterator[bytes]:
        self._packed += len(chunk)
        piece = b""
        while chunk or len(piece) == _PIECE:  # a full piece may not be all there is of it
            if self._member.eof:  # gzip data may be several members one after the other
                if not chunk:
                    return
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise Refused(problem("malformed_encoding"), CLOSE) from error
            self._size += len(piece)
            if self._size > self._limit or (self._size > MIB and self._size > self._packed * self._ratio):
                raise too_large(self._limit)
            yield piece
            chunk = self._member.unused_data or self._member.unconsumed_tail

    def finish(self) -> None:
        """Raise ``Refused`` if the body ended in the middle."""
        if not self._member.eof:
            raise Refused(problem("malformed_encoding"))
