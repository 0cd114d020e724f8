"""A file of the server as the body of a job: the same bytes, limits and refusals as an upload of it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import BinaryIO, Self

from gristmill.errors import ConfigurationError, SourceError
from gristmill.http.drain import Drain
from gristmill.http.jobs.files import ServerFiles
from gristmill.http.problems import Refused, problem
from gristmill.http.settings import MIB, HttpLimits
from gristmill.streams.formats.compression import Compression, Decompressor, told_by

_READ = 1 << 16
_MAGIC = 4


class FileBody:
    """Reads a file as it was when it was opened; what changes meanwhile refuses the whole.

    It is opened and read by threads, a piece at a time, so that a slow disk holds no other request up.

    Args:
        files: Where it is.
        path: Which, below their folder.
        limits: How much may be read, and how far it may unpack.
    """

    def __init__(self, files: ServerFiles, path: str, limits: HttpLimits) -> None:
        self._files = files
        self._path = path
        self._limits = limits
        self._lock = threading.Lock()  # a thread outlives the task that waited for it
        self._is_over = False
        self._size = 0
        self._file: BinaryIO
        self._source: BinaryIO | Decompressor
        self._before: os.stat_result

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            Refused: As ``ServerFiles.open``; ``content_too_large`` for its size alone;
                ``unsupported_encoding`` for zstd where that cannot be unpacked.
        """
        try:
            await asyncio.to_thread(self._open)
        except BaseException:
            await asyncio.to_thread(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await asyncio.to_thread(self._close)

    def _open(self) -> None:
        with self._lock:
            if self._is_over:
                return
            descriptor = self._files.open(self._path)
            self._source = self._file = os.fdopen(descriptor, "rb", buffering=0)
            self._before = os.fstat(descriptor)
            if self._before.st_size > self._limits.job_bytes:
                raise self._too_large()
            compression = told_by(os.pread(descriptor, _MAGIC, 0))
            if compression is not Compression.NONE:
                self._source = _unpacked(self._file, compression)

    def _close(self) -> None:
        with self._lock:
            self._is_over = True
            if hasattr(self, "_file"):
                self._file.close()

    async def pieces(self, drain: Drain) -> AsyncGenerator[bytes, None]:
        """Yield what the file holds, unpacked if its first bytes are those of gzip or zstd.

        Args:
            drain: Cuts it short.

        Raises:
            Refused: ``content_too_large``, ``malformed_encoding``, ``file_changed``, ``file_not_found`` (the
                disk fails) or ``closed``.
        """
        while True:
            drain.refuse()
            piece = await asyncio.to_thread(self._next)
            if not piece:
                return
            yield piece

    def _next(self) -> bytes:
        """Return the next piece; nothing at the end, after a last look at the file."""
        with self._lock:
            if self._is_over:
                return b""
            try:
                piece = self._source.read(_READ)
            except SourceError as error:
                self._check_unchanged()  # which may be why
                raise Refused(problem("malformed_encoding")) from error
            except OSError as error:
                detail = "the file cannot be read to its end"
                raise Refused(problem("file_not_found", detail=detail)) from error
            self._size += len(piece)
            self._check_size()
            if not piece or self._file.tell() > self._before.st_size:
                self._check_unchanged()
            return piece

    def _check_size(self) -> None:
        limits = self._limits
        is_bomb = self._source is not self._file and self._size > self._file.tell() * limits.ratio
        if self._size > limits.job_bytes or (self._size > MIB and is_bomb):
            raise self._too_large()

    def _check_unchanged(self) -> None:
        now, before = os.fstat(self._file.fileno()), self._before
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise Refused(problem("file_changed", retryable=True))

    def _too_large(self) -> Refused:
        return Refused(problem("content_too_large", limit_bytes=self._limits.job_bytes))


def _unpacked(file: BinaryIO, compression: Compression) -> Decompressor:
    try:
        return Decompressor(file, compression, "the file")
    except ConfigurationError as error:
        detail = f"this server cannot unpack {compression.value}"
        raise Refused(problem("unsupported_encoding", detail=detail)) from error
