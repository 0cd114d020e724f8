"""What stands in the body of a batch, and how its answer is read: our own route, and any array endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct, UnsetType

from gristmill.client.refusals import item_error
from gristmill.client.sealed import Sealed
from gristmill.client.unreadable import UNREADABLE
from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook
from gristmill.codec.results import ResultCodec, UnusableResult
from gristmill.errors import BatchError, ConfigurationError, ItemFailed, UnusableAnswer
from gristmill.model.outcome import Failed
from gristmill.wire import Problem

_OK = 200
_CODEC = ResultCodec()
_encode = _CODEC.encoder.encode


class Format(Protocol):
    """Of the bodies of one route."""

    def seal(self, item: Any) -> Sealed:
        """Return *item* as it goes out; what is wrong with it is told in ``refusal``, not raised."""

    def body(self, items: Sequence[Sealed]) -> bytes:
        """Return the body of a batch."""

    def read(self, body: bytes, count: int) -> list[Any]:
        """Return a value or an exception for each of *count* items, in their order.

        Raises:
            UnusableAnswer: It is no answer to a batch of so many.
        """


def refusal(error: Exception) -> ItemFailed:
    """Return why an item cannot be sent."""
    return ItemFailed(f"the item cannot be sent: {error}", code="invalid_item")


class _RawReply(Struct):
    index: int
    status: int = _OK
    result: Raw = Raw(b"null")
    error: Problem | UnsetType = msgspec.UNSET


class _RawBatch(Struct):
    items: list[_RawReply]


_RAW = msgspec.json.Decoder(_RawBatch)


class HandlerFormat:
    """Of ``POST /v1/{name}/batch``: a bare array out, verdicts back.

    Args:
        result: The type that results become; ``Any`` leaves them builtins.

    Raises:
        ConfigurationError: JSON cannot be decoded into *result*.
    """

    def __init__(self, result: Any) -> None:
        self.result = ValueReader(result)
        # The usual answer is decoded in one go, results included.
        self._typed: Callable[[bytes], Any] | None = None
        if self.result.typed is not None:
            reply = msgspec.defstruct(
                "Reply",
                [
                    ("index", int),
                    ("status", int, _OK),
                    ("result", self.result.typed | UnsetType, msgspec.UNSET)
                    if self.result.typed is not Any
                    else ("result", Any, msgspec.UNSET),
                    ("error", Problem | UnsetType, msgspec.UNSET),
                ],
                gc=False,  # none is in a cycle, and there are as many as items
            )
            batch = msgspec.defstruct("Batch", [("items", list[reply])])  # type: ignore[valid-type]
            self._typed = msgspec.json.Decoder(batch, dec_hook=decode_hook).decode

    def seal(self, item: Any) -> Sealed:
        """Return *item* as JSON."""
        try:
            text = _encode(item)
            if b"null" not in text:
                return Sealed(text, len(text))
        except Exception:  # noqa: BLE001, S110 - what is wrong is told where it is looked at with care
            pass
        return self._seal_with_care(item)

    def _seal_with_care(self, item: Any) -> Sealed:
        try:
            text = _CODEC.encode(item)
        except UnusableResult as error:
            return Sealed(
                b"", 0, refusal(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            )
        return Sealed(text, len(text))

    def body(self, items: Sequence[Sealed]) -> bytes:
        """Return an array of the items."""
        return b"[" + b",".join([each.content for each in items]) + b"]"

    def read(self, body: bytes, count: int) -> list[Any]:
        """Return a value or an exception for each item, as ``Format`` says."""
        replies = self._quickly(body)
        if replies is not None:
            _check_order(replies, count)
            return [
                reply.result if reply.status == _OK and reply.result is not msgspec.UNSET else _failure(reply)
                for reply in replies
            ]
        try:
            found = _RAW.decode(body)
        except UNREADABLE as error:
            raise UnusableAnswer(
                f"the answer to a batch is not what a server of Gristmill sends: {error}"
            ) from error
        _check_order(found.items, count)
        return [self._value(reply) for reply in found.items]

    def _quickly(self, body: bytes) -> list[Any] | None:
        """Return the replies with their results; None where one of them may be of another type."""
        if self._typed is None:
            return None
        try:
            replies: list[Any] = self._typed(body).items
        except Exception:  # noqa: BLE001 - they are looked at one by one, which finds the one to blame
            return None
        return replies

    def _value(self, reply: _RawReply) -> Any:
        if reply.status != _OK:
            return _failure(reply)
        try:
            return self.result.read(reply.result)
        except UnusableAnswer as error:
            return error


def _check_order(replies: Sequence[Any], count: int) -> None:
    if [reply.index for reply in replies] != list(range(count)):
        raise UnusableAnswer(
            f"a batch of {count} items was answered with {len(replies)} others: none is trusted"
        )


def _failure(reply: Any) -> Exception:
    if isinstance(reply.error, UnsetType):
        return UnusableAnswer(f"an item has status {reply.status} and neither a result nor a problem")
    return item_error(reply.error)


class ValueReader:
    """Reads values of one type.

    Attributes:
        typed: The type as msgspec reads it inside another, or None if it cannot.
    """

    def __init__(self, annotation: Any) -> None:
        self.typed: Any = None
        self._shown = getattr(annotation, "__name__", repr(annotation))
        if pydantic_models.is_model(annotation):
            self._decode: Callable[[bytes], Any] = annotation.__pydantic_validator__.validate_json
            return
        try:
            self._decode = msgspec.json.Decoder(annotation, dec_hook=decode_hook).decode
        except (TypeError, NameError) as error:
            if pydantic_models.mentions_model(annotation):
                self._decode = pydantic_models.validator(annotation)
                return
            raise ConfigurationError(
                f"results of type {annotation!r} cannot be read from JSON: {error}"
            ) from error
        self.typed = annotation

    def read(self, text: bytes | Raw) -> Any:
        """Return the value that *text* is.

        Raises:
            UnusableAnswer: It is of another type.
        """
        try:
            return self._decode(bytes(text))
        except Exception as error:
            raise UnusableAnswer(f"the result is no {self._shown}: {error}") from error


class ArrayFormat:
    """Of an endpoint that takes many items at once and answers with as many results, whoever wrote it.

    Args:
        encode: Makes the body of a list of items: bytes, or what becomes JSON.
        decode: Makes the list of results of the decoded answer; a ``Failed`` or an exception in the place of
            a result fails that item alone.
    """

    def __init__(
        self, encode: Callable[[list[Any]], Any] | None, decode: Callable[[Any], Any] | None
    ) -> None:
        self._encode = encode
        self._decode = decode

    def seal(self, item: Any) -> Sealed:
        """Return *item* as it is: it is made a text with its batch, which costs less."""
        return Sealed(item)

    def body(self, items: Sequence[Sealed]) -> bytes:
        """Return what ``encode`` makes of the items; an array without one."""
        plain = [each.content for each in items]
        made = plain if self._encode is None else self._encode(plain)
        return bytes(made) if isinstance(made, bytes | bytearray) else _CODEC.encode(made)

    def read(self, body: bytes, count: int) -> list[Any]:
        """Return what ``decode`` makes of the answer, if it is as many results as there were items."""
        try:
            found = msgspec.json.decode(body)
        except UNREADABLE as error:
            raise UnusableAnswer(f"the answer is no JSON: {error}") from error
        if self._decode is not None:
            try:
                found = self._decode(found)
            except Exception as error:
                raise UnusableAnswer(
                    f"decode() failed on the answer: {type(error).__name__}: {error}"
                ) from error
        if not isinstance(found, list | tuple) or len(found) != count:
            shown = (
                f"{len(found)} results" if isinstance(found, list | tuple) else f"a {type(found).__name__}"
            )
            raise UnusableAnswer(
                f"a batch of {count} items was answered with {shown}: give decode=, which makes a list of "
                "one result for each item"
            )
        return [_verdict(each) if isinstance(each, Failed | BatchError) else each for each in found]


def _verdict(failure: Failed | BatchError) -> Exception:
    """Return the exception of an item, which is sent again if it is ``retryable``."""
    error = failure.exception() if isinstance(failure, Failed) else failure
    vars(error)["of_item"] = True
    return error
