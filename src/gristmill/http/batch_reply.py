"""From the outcomes of a batch to its answer: same length and order, every item its own verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from gristmill.batching.reply import Settled
from gristmill.codec.results import ResultCodec, UnusableResult, not_finite
from gristmill.http.batch_request import BatchRequest
from gristmill.http.verdicts import UNPROCESSED, Verdicts
from gristmill.model.outcome import Failed, Ok, failed_from
from gristmill.wire import BatchReply, Counts, ItemReply, Problem

_OK = 200
_SERVER_ERROR = 500


_HEAD = (
    b'{"errors":false,"took_ms":%d,"counts":{"total":%d,"succeeded":%d,"failed":0,"unprocessed":0},"items":['
)


def _good(index: int) -> bytes:
    """Return what stands before the result of an item that succeeded; the end of the one before it, too."""
    return b'%b{"index":%d,"status":200,"result":' % (b"}," if index else b"", index)


_GOOD = [_good(index) for index in range(1000)]


class BatchWriter:
    """Writes the answers to batches of one handler."""

    def __init__(self, results: ResultCodec, verdicts: Verdicts) -> None:
        self._results = results
        self._verdicts = verdicts

    def write(
        self,
        request: BatchRequest,
        settled: Settled,
        *,
        took: float,
        minimal: bool = False,
        retry_after: int = 1,
    ) -> bytes:
        """Return the JSON of the answer.

        Args:
            request: What was asked.
            settled: The answers to its ``items``, in their order.
            took: Seconds since the request was read.
            minimal: Leave the items that succeeded out.
            retry_after: Seconds, for items that did not get in.
        """
        if not (minimal or request.refused or request.ids or settled.errors):
            body = self._all_good(settled.values, took)
            if body is not None:
                return body
        replies = self._verdicts_of(request, settled, retry_after)
        try:
            body = self._encoded(request, replies, took)
        except Exception:  # noqa: BLE001 - one result is to blame, and checking each finds and logs it
            self._check_results(replies)
            body = self._encoded(request, replies, took)
        else:
            if b"null" in body and any(not_finite(reply.result) for reply in replies if reply.status == _OK):
                self._check_results(replies)
                body = self._encoded(request, replies, took)
        return self._encoded(request, replies, took, minimal=True) if minimal else body

    def _all_good(self, values: list[Any], took: float) -> bytes | None:
        """Return the answer to a batch without failures and ids, put together from bytes made before.

        None when a result needs a closer look.
        """
        try:
            text = self._results.encoder.encode_lines(values)
        except Exception:  # noqa: BLE001 - whatever it is, the closer look finds and logs it
            return None
        if b"null" in text and any(map(not_finite, values)):
            return None
        pieces = text.split(b"\n")  # the last one is what follows the last line: nothing
        count = len(values)
        if len(pieces) != count + 1:
            return None  # a Raw with line breaks of its own
        body = [b""] * (2 * count + 1)
        body[1::2] = _GOOD[:count] if count <= len(_GOOD) else list(map(_good, range(count)))
        body[2::2] = pieces[:-1]
        body[0] = _HEAD % (round(took * 1000), count, count)
        body.append(b"}]}" if count else b"]}")
        return b"".join(body)

    def line(self, index: int, outcome: Ok[Any] | Failed | Problem) -> tuple[bytes, ItemReply]:
        """Return the JSON of one item's verdict, and the verdict."""
        reply = ItemReply(index)
        if isinstance(outcome, Ok):
            try:
                reply.result = msgspec.Raw(_on_one_line(self._results.encode(outcome.value)))
            except UnusableResult as error:
                _fail(reply, self._verdicts.broken_contract(error))
        else:
            _fail(reply, outcome if isinstance(outcome, Problem) else self._verdicts.problem_of(outcome))
        return self._results.encoder.encode(reply), reply

    def _verdicts_of(self, request: BatchRequest, settled: Settled, retry_after: int) -> list[ItemReply]:
        ids: Sequence[Any] = request.ids or [None] * request.total
        replies = [ItemReply(index, UNSET if one is None else one) for index, one in enumerate(ids)]
        for index, found in request.refused.items():
            _fail(replies[index], found)
        places = range(request.total) if request.positions is None else request.positions
        for index, value in zip(places, settled.values, strict=True):
            replies[index].result = value
        for place, error in settled.errors.items():
            reply = replies[places[place]]
            reply.result = UNSET
            _fail(reply, self._verdicts.problem_of(failed_from(error), retry_after))
        return replies

    def _check_results(self, replies: Sequence[ItemReply]) -> None:
        """Encode each result on its own, and fail the items whose result cannot be."""
        for reply in replies:
            if reply.status != _OK:
                continue
            try:
                reply.result = msgspec.Raw(self._results.encode(reply.result))
            except UnusableResult as error:
                reply.result = UNSET
                _fail(reply, self._verdicts.broken_contract(error))

    def _encoded(
        self, request: BatchRequest, replies: list[ItemReply], took: float, *, minimal: bool = False
    ) -> bytes:
        bad = [reply for reply in replies if reply.status != _OK]
        reply = BatchReply(
            errors=bool(bad),
            took_ms=round(took * 1000),
            counts=count(request.total, bad),
            items=bad if minimal else replies,
        )
        return self._results.encoder.encode(reply)


def _on_one_line(text: bytes) -> bytes:
    """Return JSON without line breaks, which only a Raw brings."""
    if b"\n" not in text and b"\r" not in text:
        return text
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError as error:
        raise UnusableResult(f"a result of type Raw is not JSON: {error}") from error


def count(total: int, bad: Sequence[ItemReply]) -> Counts:
    """Return the counts of *total* items of which *bad* did not succeed."""
    unprocessed = sum(reply.error is not UNSET and reply.error.code in UNPROCESSED for reply in bad)
    return Counts(total, total - len(bad), len(bad) - unprocessed, unprocessed)


def _fail(reply: ItemReply, found: Problem) -> None:
    """Make *reply* one of an item that failed with *found*; the status stands beside the problem."""
    reply.status = _SERVER_ERROR if isinstance(found.status, msgspec.UnsetType) else found.status
    found.status = UNSET
    reply.error = found
