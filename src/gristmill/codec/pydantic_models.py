"""What pydantic models can do, asked of the models themselves.

Only a union or container of several models needs pydantic itself; whoever
has such a type has imported it already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, get_args

_SHOWN = 3

Validate: TypeAlias = Callable[[bytes], Any]


def is_model(annotation: Any) -> bool:
    """Tell whether *annotation* is a pydantic model class."""
    return (
        isinstance(annotation, type)
        and hasattr(annotation, "__pydantic_validator__")
        and hasattr(annotation, "model_dump")
    )


def mentions_model(annotation: Any) -> bool:
    """Tell whether *annotation* is, or is built from, a pydantic model class."""
    return is_model(annotation) or any(map(mentions_model, get_args(annotation)))


def validator(annotation: Any) -> Validate:
    """Return what validates the JSON text of any type that pydantic knows."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - an optional extra, here in its own adapter

    validate: Validate = TypeAdapter(annotation).validate_json
    return validate


def errors_of(error: BaseException | None) -> list[tuple[tuple[int | str, ...], str]] | None:
    """Return (path, text) for each error in a pydantic ValidationError, without the input, or None."""
    listed = getattr(error, "errors", None)
    if not callable(listed):
        return None
    found = listed(include_url=False, include_context=False, include_input=False)
    return [(entry["loc"], entry["msg"]) for entry in found]


def told(error: BaseException) -> str:
    """Return *error* for people: pydantic's first few in one line, without the input and the links."""
    found = errors_of(error)
    if found is None:
        return str(error)
    parts = [f"{text} at {'.'.join(map(str, path)) or 'the row'}" for path, text in found[:_SHOWN]]
    return "; ".join(parts)
