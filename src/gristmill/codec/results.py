"""From results of any JSON-like type to JSON, and what cannot be sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gristmill.codec import pydantic_models


class UnusableResult(Exception):
    """A handler's result cannot be sent as JSON."""


class ResultCodec:
    """Writes results of any JSON-like type, pydantic models and arrays with ``tolist`` included."""

    def __init__(self) -> None:
        self.encoder = msgspec.json.Encoder(enc_hook=encode_hook)

    def encode(self, value: Any) -> bytes:
        """Return *value* as JSON.

        Raises:
            UnusableResult: It cannot be JSON, or holds a NaN or an infinity.
        """
        try:
            text = self.encoder.encode(value)
        except Exception as error:
            raise UnusableResult(f"a result of type {type(value).__name__} is not JSON: {error}") from error
        if b"null" in text and not_finite(value):
            raise UnusableResult("a result holds NaN or an infinity, which JSON has not")
        return text


def not_finite(value: Any) -> bool:
    """Tell whether *value*, which msgspec can encode, holds a NaN or an infinity (it writes them as null)."""
    if value is None:
        return False
    try:
        json.dumps(msgspec.to_builtins(value, enc_hook=_without_raws, str_keys=True), allow_nan=False)
    except (ValueError, RecursionError):
        return True
    return False


def _without_raws(value: Any) -> Any:
    """Do as ``encode_hook``; a Raw, which encoders write as it is, stands for no number."""
    return None if isinstance(value, msgspec.Raw) else encode_hook(value)


def encode_hook(value: Any) -> Any:
    """Return builtins for a result msgspec does not know."""
    if pydantic_models.is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    listed = getattr(value, "tolist", None)  # arrays and scalars of numpy and its kin
    if callable(listed):
        return listed()
    raise TypeError(f"{type(value).__name__} has no JSON form")
