"""The body of a job as it comes: unpacked, bounded, with a clock on its silences. Nothing is kept of it."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import TracebackType
from typing import IO, Self

from gristmill.http.body import ClientGone, Unpacker, too_large
from gristmill.http.drain import Drain
from gristmill.http.headers import is_gzipped
from gristmill.http.problems import CLOSE, Refused, problem
from gristmill.http.settings import MIB, HttpLimits
from gristmill.http.watch import Receive

_LONGEST_LENGTH = 19  # digits
_READ = 1 << 18


class Incoming:
    """One body.

    Args:
        headers: Of the request.
        receive: Gives it.
        limits: How long it may be silent, and how far gzip may unpack.
        limit: Bytes of it, packed or not.
        drain: Cuts it short.

    Attributes:
        is_whole: Whether its end was read.

    Raises:
        Refused: ``content_too_large`` or ``unsupported_encoding``, before anything is read.
    """

    def __init__(
        self, headers: Mapping[bytes, bytes], receive: Receive, limits: HttpLimits, limit: int, drain: Drain
    ) -> None:
        gzipped = is_gzipped(headers.get(b"content-encoding"))
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _LONGEST_LENGTH or int(length) > limit:
            raise too_large(limit)
        self._receive = receive
        self._limits = limits
        self._limit = limit
        self._drain = drain
        self._unpacker = Unpacker(limit, limits.ratio) if gzipped else None
        self._size = 0
        self._silence: asyncio.Timeout | None = None
        self.is_whole = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body.

        Raises:
            Refused: ``content_too_large``, ``malformed_encoding``, ``request_timeout`` or ``closed``.
            ClientGone: The caller hung up before the end.
        """
        with self._drain.listening(self._cut):
            while not self.is_whole:
                chunk = await self._next()
                if self._unpacker is None:
                    self._size += len(chunk)
                    if self._size > self._limit:
                        raise too_large(self._limit)
                    yield chunk
                else:
                    for piece in self._unpacker.feed(chunk):
                        yield piece
            if self._unpacker is not None:
                self._unpacker.finish()

    async def _next(self) -> bytes:
        self._drain.refuse()
        try:
            async with asyncio.timeout(self._limits.idle_timeout) as self._silence:
                message = await self._receive()
        except TimeoutError:
            self._drain.refuse()
            detail = f"no byte came for {self._limits.idle_timeout:g} seconds"
            raise Refused(problem("request_timeout", detail=detail, retryable=True), CLOSE) from None
        finally:
            self._silence = None
        if message["type"] != "http.request":
            raise ClientGone
        self.is_whole = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    def _cut(self) -> None:
        if self._silence is not None and not self._silence.expired():
            self._silence.reschedule(asyncio.get_running_loop().time())

    async def whole(self) -> bytearray:
        """Return the body in one, for those that are read into memory: it has a deadline as a whole.

        Raises as ``pieces``.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                async for piece in self.pieces():
                    body += piece
        except TimeoutError:
            detail = f"the body must arrive within {self._limits.body_timeout:g} seconds"
            raise Refused(problem("request_timeout", detail=detail, retryable=True), CLOSE) from None
        return body


class Spool:
    """A body at rest until its fingerprint is known: in memory while it is small, in a file of ours after."""

    def __init__(self, most: int = MIB) -> None:
        self._most = most
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        """Return itself; the file is gone when the block is left."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what was put in."""
        return self._hash.hexdigest()

    async def fill(self, pieces: AsyncIterator[bytes]) -> None:
        """Put a body in."""
        async for piece in pieces:
            self._hash.update(piece)
            self._held += piece
            if len(self._held) > self._most:
                await self._flush()

    async def _flush(self) -> None:
        if self._file is None:
            self._file = await asyncio.to_thread(_open_file)
        await asyncio.to_thread(self._file.write, bytes(self._held))
        self._held.clear()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what was put in."""
        if self._file is not None:
            await asyncio.to_thread(self._file.seek, 0)
            while piece := await asyncio.to_thread(self._file.read, _READ):
                yield piece
        yield bytes(self._held)


def _open_file() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="gristmill-")  # nobody else may read it, and it has no name
