"""What msgspec needs to know to read items that hold pydantic models."""

from __future__ import annotations

from typing import Any

import msgspec

from gristmill.codec import pydantic_models
from gristmill.errors import ConfigurationError


def decode_hook(wanted: Any, value: Any) -> Any:
    """Make a *wanted* from builtins where msgspec does not know the type: pydantic models in a field."""
    if pydantic_models.is_model(wanted):
        return wanted.__pydantic_validator__.validate_json(msgspec.json.encode(value))
    raise ConfigurationError(f"items hold a {wanted!r}, which cannot be read from JSON")
