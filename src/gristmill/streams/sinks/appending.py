"""What a file is made of whose chunks are appended one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Protocol, TypeAlias

from gristmill.streams.sinks.protocol import EncoderRecipe

Bytes: TypeAlias = bytes | bytearray | memoryview


class Appending(Protocol):
    """A format of files that grow by whole chunks, and can be cut back to any of them."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output; of JSON's types."""

    @property
    def is_streamed(self) -> bool:
        """Whether it can go to a pipe: its end needs nothing but what was written."""

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""

    def head(self, layout: bytes | None) -> bytes:
        """Return what stands before the first chunk."""

    def frame(self, body: Bytes) -> Iterable[Bytes]:
        """Yield what is appended for a chunk: its body, and what may be needed to find it again."""

    def tail(self, file: BinaryIO, length: int) -> Iterable[bytes]:
        """Yield what stands after the last chunk.

        Args:
            file: What was written, readable; left at its end.
            length: Its length.
        """
