"""The bodies of jobs: items as JSON lines, and files as they are, piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gristmill.client.formats import Format
from gristmill.errors import ConfigurationError

_PIECE = 1 << 18
_TYPES = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "jsonl": "application/x-ndjson",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that can be sent.

    Attributes:
        body: Makes it, anew for every try.
        content_type: Its media type.
        content_encoding: ``gzip``, or empty.
        is_repeatable: Whether *body* may be called again.
        failures: What went wrong in it: transports tell less.
    """

    body: Callable[[], AsyncGenerator[bytes, None]]
    content_type: str
    content_encoding: str = ""
    is_repeatable: bool = True
    failures: list[Exception] = field(default_factory=list)

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Return the body from its beginning; what fails in it is noted in ``failures``."""
        return self._noting(self.body())

    async def _noting(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(body):
            try:
                async for piece in body:
                    yield piece
            except Exception as error:
                self.failures.append(error)
                raise


def items_upload(items: Iterable[Any] | AsyncIterable[Any], format: Format) -> Upload:
    """Return *items* as JSON lines; a sequence of them may be sent again."""
    repeatable = isinstance(items, Sequence)
    return Upload(lambda: _lines(items, format), _TYPES["ndjson"], is_repeatable=repeatable)


async def _lines(items: Iterable[Any] | AsyncIterable[Any], format: Format) -> AsyncGenerator[bytes, None]:
    held: list[bytes] = []
    size = 0
    async for item in _each(items):
        sealed = format.seal(item)
        if sealed.refusal is not None:
            raise sealed.refusal
        held.append(sealed.content)
        size += sealed.size + 1
        if size >= _PIECE:
            yield b"\n".join(held) + b"\n"
            held, size = [], 0
    if held:
        yield b"\n".join(held) + b"\n"


async def _each(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    for item in items:
        yield item


def file_upload(path: Path, format: str | None, *, compress: bool) -> Upload:
    """Return the content of a file as it is; one that is gzip already goes as that.

    Raises:
        OSError: There is no such file.
        ConfigurationError: Its format is not known.
    """
    path.stat()
    suffixes = [suffix.removeprefix(".").lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == "gz"
    named = format or next((each for each in reversed(suffixes) if each != "gz"), "")
    if named not in _TYPES:
        raise ConfigurationError(
            f"{path.name}: a job takes CSV (.csv) or JSON lines (.ndjson, .jsonl), also .gz; "
            'say which it is: format="csv"'
        )
    encoding = "gzip" if packed or compress else ""
    return Upload(lambda: _content(path, pack=compress and not packed), _TYPES[named], encoding)


async def _content(path: Path, *, pack: bool) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(level=6, wbits=31) if pack else None
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            if packer is not None:
                piece = await asyncio.to_thread(packer.compress, piece)
            if piece:
                yield piece
        if packer is not None:
            yield packer.flush()
    finally:
        file.close()
