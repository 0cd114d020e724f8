"""Between the items and results of one handler and the bytes a store keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gristmill.batching.handler import BatchHandler
from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook
from gristmill.codec.results import ResultCodec, UnusableResult, encode_hook, not_finite
from gristmill.errors import ConfigurationError, InvalidItem
from gristmill.model.chunk import Chunk
from gristmill.model.outcome import Failed

_INVALID = "invalid_item"
_CONTRACT = "handler_contract"


class QueueCodec:
    """The codec of one handler's items and results.

    Raises:
        ConfigurationError: Items of the handler's type cannot be read from JSON.
    """

    def __init__(self, handler: BatchHandler[Any, Any]) -> None:
        self._name = handler.name
        self._encoder = msgspec.json.Encoder(enc_hook=encode_hook)
        self._results = ResultCodec()
        self._one: Callable[[bytes], Any]
        self._all: Callable[[bytes], list[Any]] | None = None
        annotation = handler.item_type
        if pydantic_models.is_model(annotation):
            self._one = annotation.__pydantic_validator__.validate_json
            return
        try:
            self._one = msgspec.json.Decoder(annotation, dec_hook=decode_hook).decode
            self._all = msgspec.json.Decoder(list[annotation], dec_hook=decode_hook).decode  # type: ignore[valid-type]  # made per handler
        except TypeError as error:
            if not pydantic_models.mentions_model(annotation):
                raise ConfigurationError(
                    f"items of {self._name} cannot be stored: {annotation!r} is not read from JSON: {error}"
                ) from error
            self._one = pydantic_models.validator(annotation)

    # -- items

    def text(self, item: Any, place: int) -> bytes:
        """Return the JSON of *item*, which must be of the handler's type; ``msgspec.Raw`` is JSON already.

        Raises:
            InvalidItem: It is not; *place* says which it was.
        """
        try:
            text = self._encoder.encode(item)
            self._one(text)
        except Exception as error:
            raise InvalidItem(
                f"item {place} cannot be an item of {self._name}: {error}", index=place
            ) from error
        return text

    def item(self, text: bytes) -> Any:
        """Return the item whose JSON *text* was checked before."""
        return self._one(text)

    def read(self, chunk: Chunk) -> tuple[list[Any], dict[int, Failed]]:
        """Return the items of *chunk*, None for those in the second: what is wrong with them, by index.

        Items were checked when they came; the handler's type may have changed since.
        """
        if self._all is not None:
            try:
                return self._all(chunk.body), {}
            except Exception:  # noqa: BLE001, S110 - one of them is to blame; reading each tells which
                pass
        items: list[Any] = []
        failures: dict[int, Failed] = {}
        for index, text in enumerate(chunk.raws()):
            try:
                items.append(self._one(text))
            except Exception as error:  # noqa: BLE001 - it is the outcome of this item
                items.append(None)
                failures[index] = Failed(error, _INVALID)
        return items, failures

    # -- results

    def array(self, values: Sequence[Any]) -> bytes | None:
        """Return *values* as one JSON array; None if one of them cannot be JSON."""
        try:
            text = self._encoder.encode(values)
        except Exception:  # noqa: BLE001 - encoding each tells which
            return None
        return None if b"null" in text and any(map(not_finite, values)) else text

    def each(self, values: Sequence[Any], skip: dict[int, Failed]) -> tuple[list[bytes], dict[int, Failed]]:
        """Return the JSON of each value, and what is wrong with those that have none.

        Args:
            values: Of all items of a chunk.
            skip: Items that have no value.
        """
        texts: list[bytes] = []
        failures: dict[int, Failed] = {}
        for index, value in enumerate(values):
            text = b""
            if index not in skip:
                try:
                    text = self._results.encode(value)
                except UnusableResult as error:
                    failures[index] = Failed(error, _CONTRACT)
            texts.append(text)
        return texts, failures
