"""From JSON to the items of one handler, with a refusal that says where each is wrong.

Made once per handler from its annotations. Types msgspec knows are decoded
straight into; of pydantic models only the methods they carry are used, so
nothing here imports pydantic.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook, unreadable
from gristmill.errors import ConfigurationError
from gristmill.http.problems import Refused, new_instance, problem
from gristmill.http.strict_json import decode_plain
from gristmill.wire import Complaint

Text: TypeAlias = bytes | bytearray | msgspec.Raw

_LOG = logging.getLogger("gristmill.http")
_PATH = re.compile(r" - at (?:`key` in )?`\$([^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_ECHOES = re.compile(r"\A(Invalid value|Invalid enum value|Object contains unknown field) .*", re.DOTALL)
_ESCAPES = str.maketrans({"~": "~0", "/": "~1"})


class ItemCodec(Protocol):
    """Reads items of one type."""

    typed: Any
    """The type as msgspec reads it inside an envelope, or None if it cannot."""

    def decode(self, text: Text, at: str = "#") -> Any:
        """Return the item that *text* is.

        Args:
            text: Strict JSON by ``check_text``.
            at: The pointer of the item in the request body.

        Raises:
            Refused: ``malformed_json``, or ``invalid_item`` with pointers.
        """


def item_codec(annotation: Any) -> ItemCodec:
    """Return the codec of items annotated with *annotation*.

    Raises:
        ConfigurationError: JSON cannot be decoded into that type.
    """
    if pydantic_models.is_model(annotation):
        return PydanticItems(annotation.__pydantic_validator__.validate_json)
    try:
        return MsgspecItems(annotation)
    except (TypeError, NameError) as refused:
        error: Exception = refused
    if pydantic_models.mentions_model(annotation):
        try:
            return PydanticItems(pydantic_models.validator(annotation))
        except (TypeError, RuntimeError) as refused:
            error = refused
    raise ConfigurationError(
        f"items of type {annotation!r} cannot be read from JSON: {error}. Annotate the handler's list "
        "with a msgspec Struct, a pydantic model, a dataclass, a TypedDict or builtins."
    ) from error


class MsgspecItems:
    """Items msgspec decodes: Structs, dataclasses, TypedDicts, builtins, anything unannotated."""

    def __init__(self, annotation: Any) -> None:
        unknown = unreadable(annotation)
        if unknown is not None:
            raise TypeError(f"nothing is known of {unknown!r}")
        self.typed = annotation
        self._decoder = msgspec.json.Decoder(annotation, dec_hook=decode_hook)

    def decode(self, text: Text, at: str = "#") -> Any:
        """Return the item that *text* is, as ``ItemCodec`` says."""
        try:
            return self._decoder.decode(text)
        except Exception as error:
            decode_plain(bytes(text))
            raise refusal_of(error, at) from error


class PydanticItems:
    """Items pydantic validates, from the JSON text itself and in its JSON mode."""

    typed = None

    def __init__(self, validate_json: pydantic_models.Validate) -> None:
        self._validate = validate_json

    def decode(self, text: Text, at: str = "#") -> Any:
        """Return the item that *text* is, as ``ItemCodec`` says."""
        plain = bytes(text)
        decode_plain(plain)  # pydantic would let NaN, 1e999 and lone surrogates pass
        try:
            return self._validate(plain)
        except Exception as error:
            raise refusal_of(error, at) from error


def refusal_of(error: Exception, at: str) -> Refused:
    """Return the refusal of the item at pointer *at*, which *error* keeps from being one."""
    if isinstance(error, ValueError | RecursionError):
        return Refused(invalid_item(complaints_of(error, at)))
    # A check in the item type itself (``__post_init__``, a validator) broke: the author's bug.
    found = problem("internal_error", instance=new_instance())
    _LOG.error("checking an item failed (%s)", found.instance, exc_info=error)
    return Refused(found)


def invalid_item(errors: Sequence[Complaint]) -> Any:
    """Return the problem of an item that does not have its handler's shape."""
    return problem("invalid_item", errors=errors)


def complaints_of(error: Exception, at: str) -> list[Complaint]:
    """Return what *error* says is wrong with the item at pointer *at*, values left out."""
    message = str(error)
    found = _PATH.search(message)
    pointer = at
    if found is not None:
        message = message[: found.start()]
        for name, index in _STEP.findall(found[1]):
            if index == "...":
                break
            pointer += "/" + (index or name.translate(_ESCAPES))
    of_model = pydantic_models.errors_of(error) or pydantic_models.errors_of(error.__cause__)
    if of_model is None:
        return [Complaint(pointer, _ECHOES.sub(r"\1", message))]
    return [
        Complaint("/".join([pointer, *(str(step).translate(_ESCAPES) for step in path)]), text)
        for path, text in of_model
    ]
