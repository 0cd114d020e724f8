"""What msgspec needs to know to read items that hold pydantic models, or anything at all."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from gristmill.codec import pydantic_models
from gristmill.errors import ConfigurationError


def decode_hook(wanted: Any, value: Any) -> Any:
    """Make a *wanted* from builtins where msgspec does not know the type: pydantic models, and ``object``."""
    if wanted is object:
        return value
    if pydantic_models.is_model(wanted):
        return wanted.__pydantic_validator__.validate_json(msgspec.json.encode(value))
    raise ConfigurationError(f"items hold a {wanted!r}, which cannot be read from JSON")


def unreadable(annotation: Any) -> Any:
    """Return a class that *annotation* holds and ``decode_hook`` cannot make; None if there is none.

    msgspec itself finds that out item by item, which looks as if the items were wrong.
    """
    waiting: list[Any] = [inspect.type_info(annotation)]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting += part
        elif isinstance(part, inspect.CustomType) and not _is_made(part.cls):
            return part.cls
        elif isinstance(part, inspect.Type | inspect.Field) and id(part) not in seen:
            seen.add(id(part))  # types that hold themselves are one object
            waiting += [getattr(part, name) for name in part.__struct_fields__]
    return None


def _is_made(wanted: Any) -> bool:
    return wanted is object or pydantic_models.is_model(wanted)
