"""What batching cost a caller, as response headers: ``Server-Timing``, ``Batch-Size`` and ``Batch-Id``."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.batching.context import BatchInfo


class BatchHeaders:
    """Writes the headers of one endpoint.

    The callers of a batch are answered one after another: what they are all
    told is written once.
    """

    def __init__(self) -> None:
        self._last: BatchInfo | None = None
        self._handler_time = b""
        self._own: tuple[tuple[bytes, bytes], ...] = ()
        self._rest_of_lines = b""

    def pairs(self, batch: BatchInfo | None, queue_seconds: float) -> Sequence[tuple[bytes, bytes]]:
        """Return names and values; none for an item that no batch saw.

        Args:
            batch: Answered the item.
            queue_seconds: From the item's arrival to the start of *batch*.
        """
        if batch is None:
            return ()
        self._write(batch)
        timing = b"queue;dur=%.1f" % (queue_seconds * 1e3) + self._handler_time
        return ((b"server-timing", timing), *self._own)

    def lines(self, batch: BatchInfo | None, queue_seconds: float) -> bytes:
        """Return the same as lines of HTTP/1.1, each with its end."""
        if batch is None:
            return b""
        if batch is not self._last:
            self._write(batch)
        return b"server-timing: queue;dur=%.1f%b" % (queue_seconds * 1e3, self._rest_of_lines)

    def _write(self, batch: BatchInfo) -> None:
        if batch is self._last:
            return
        self._last = batch
        self._handler_time = b", handler;dur=%.1f" % (batch.handler_seconds * 1e3)
        self._own = ((b"batch-size", b"%d" % batch.size), (b"batch-id", batch.id.encode()))
        lines = b"".join(b"%b: %b\r\n" % pair for pair in self._own)
        self._rest_of_lines = self._handler_time + b"\r\n" + lines
