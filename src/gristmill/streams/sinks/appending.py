"""What a file is made of whose chunks are appended one after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Protocol, TypeAlias

from gristmill.streams.chunk import Result
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


class AppendingSink(ABC):
    """The part of a sink that chunks are appended to, after what stands before them.

    Args:
        form: Encodes, and says what stands before and after the chunks.

    Attributes:
        length: What was appended.
        commit_seconds: Between commits at most.
    """

    def __init__(self, form: Appending) -> None:
        self.length = 0
        self.commit_seconds = 1.0
        self._form = form
        self._is_begun = False

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output."""
        return self._form.options

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""
        return self._form.recipe()

    def write(self, result: Result) -> None:
        """Append the result's body."""
        if len(result.body):
            self._head(result.layout)
            for part in self._form.frame(result.body):
                self._append(part)

    def _head(self, layout: bytes | None) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._append(self._form.head(layout))

    @abstractmethod
    def _append(self, data: Bytes) -> None:
        """Write *data* after all that was written; count its length."""
