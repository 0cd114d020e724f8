"""What pydantic models can do, asked of the models themselves.

Only a union or container of several models needs pydantic itself; whoever
has such a type has imported it already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, TypeAlias, get_args

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


def written_fields(model: Any) -> dict[str, Any]:
    """Return name -> annotation of what an object of the class *model* is written as, computed fields too."""
    fields = {
        each.serialization_alias or each.alias or name: each.annotation
        for name, each in model.model_fields.items()
        if not each.exclude
    }
    computed = model.model_computed_fields.items()
    return fields | {each.alias or name: each.return_type for name, each in computed}


def validator(annotation: Any) -> Validate:
    """Return what validates the JSON text of any type that pydantic knows."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - an optional extra, here in its own adapter

    validate: Validate = TypeAdapter(annotation).validate_json
    return validate


def takers(model: Any) -> dict[str, Callable[[Sequence[Any]], bool]]:
    """Return the fields of a model, and what tells of each whether it takes one of some values, by its type.

    None where validators of the user's own have a say: what they would make of a value is not known.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - as above

    own = model.__pydantic_decorators__
    if own.field_validators or own.model_validators or own.validators or own.root_validators:
        return {}
    found: dict[str, Callable[[Sequence[Any]], bool]] = {}
    for name, field in model.model_fields.items():
        whole: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        with suppress(Exception):  # of a field of which its model says more than its annotation
            found[name] = partial(_takes_one, TypeAdapter(whole).validate_python)
    return found


def _takes_one(validate: Callable[[Any], Any], values: Sequence[Any]) -> bool:
    return any(_takes(validate, value) for value in values)


def _takes(validate: Callable[[Any], Any], value: Any) -> bool:
    try:
        validate(value)
    except Exception as error:  # noqa: BLE001 - whatever validators raise
        listed = getattr(error, "errors", None)
        return not callable(listed) or not all(_is_of_type(entry["type"]) for entry in listed())
    return True


def _is_of_type(error: str) -> bool:
    """Tell whether an error is of the type of a value, such as ``string_type``, whatever the value."""
    return error.endswith("_type")


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
