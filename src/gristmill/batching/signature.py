"""Read a handler's signature: is it a method, does it take a context, which types.

Annotations are resolved when they are first needed, so that a handler may be
decorated before the types it names are defined.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gristmill.errors import ConfigurationError
from gristmill.model.outcome import Failed, Ok

_LISTS = (
    list,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Collection,
    collections.abc.Iterable,
)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_WANTED = "a handler takes one list of items: def handler(items: list[Item]) -> list[Result | Failed]"
_COLUMNAR = ("pa.RecordBatch", "pyarrow.RecordBatch", "RecordBatch")
"""How an annotation may name a record batch that cannot be looked up when the function is decorated."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What the parameters of a handler say before any type is resolved.

    ``is_columnar``: it takes and returns columns, a ``pyarrow.RecordBatch``.
    """

    function: Callable[..., Any]
    is_method: bool
    is_async: bool
    takes_context: bool
    items_parameter: str
    is_columnar: bool = False


def read_signature(function: Callable[..., Any]) -> Signature:
    """Tell how *function* wants to be called.

    Raises:
        ConfigurationError: It is not a function that can take one list of items.
    """
    if isinstance(function, staticmethod | classmethod):
        raise ConfigurationError("put @batch below @staticmethod; a classmethod cannot be a handler")
    if not callable(function):
        raise ConfigurationError(f"@batch decorates a function, not {function!r}")
    name = getattr(function, "__qualname__", repr(function))
    body = function if inspect.isroutine(function) else type(function).__call__
    if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise ConfigurationError(f"{name} yields; {_WANTED}")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} has no signature to read; wrap it in a def") from error
    is_method = _is_method(function, parameters)
    rest = parameters[1:] if is_method else parameters
    required = [p for p in rest if p.kind in _POSITIONAL and p.default is p.empty]
    positional = [p for p in rest if p.kind in _POSITIONAL]
    if not positional or len(required) > 2:  # noqa: PLR2004 - the items and the context
        raise ConfigurationError(f"{name}{inspect.signature(function)} cannot be a handler; {_WANTED}")
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in rest):
        raise ConfigurationError(f"{name} has a required keyword; {_WANTED}")
    is_columnar = _is_record_batch(function, positional[0].annotation)
    if not is_columnar:
        _check_is_list(function, name, positional[0].annotation)
    takes_context = len(required) > 1 or (len(positional) > 1 and positional[1].name in ("ctx", "context"))
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(body)
    return Signature(function, is_method, is_async, takes_context, positional[0].name, is_columnar)


def _is_method(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> bool:
    scope = getattr(function, "__qualname__", "").rpartition(".")[0]
    in_class = bool(scope) and not scope.endswith("<locals>")
    return in_class and bool(parameters) and parameters[0].name in ("self", "this", "_self")


def _resolved(function: Callable[..., Any], annotation: object) -> object:
    """Return what *annotation* stands for; itself if it is text that names something not defined yet."""
    if not isinstance(annotation, str):
        return annotation
    try:
        found: object = eval(annotation, getattr(function, "__globals__", {}))  # noqa: S307 - the user's own annotation
    except Exception:  # noqa: BLE001 - names defined later are looked up again when they are needed
        return annotation
    return found


def _is_record_batch(function: Callable[..., Any], annotation: object) -> bool:
    """Tell whether *annotation* is ``pyarrow.RecordBatch``; told by its name: nothing here needs pyarrow."""
    found = _resolved(function, annotation)
    if typing.get_origin(found) is typing.Annotated:
        found = typing.get_args(found)[0]
    if isinstance(found, str):
        return found.strip("'\" ") in _COLUMNAR
    module = getattr(found, "__module__", None) or ""
    return module.partition(".")[0] == "pyarrow" and getattr(found, "__name__", "") == "RecordBatch"


def _check_is_list(function: Callable[..., Any], name: str, annotation: object) -> None:
    annotation = _resolved(function, annotation)
    if isinstance(annotation, str):
        return
    if annotation is inspect.Parameter.empty or annotation is Any or isinstance(annotation, typing.TypeVar):
        return
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    origin = typing.get_origin(annotation) or annotation
    if origin not in _LISTS:
        shown = getattr(annotation, "__name__", annotation)
        raise ConfigurationError(f"{name} takes {shown}, not a list; {_WANTED}")


def item_and_result(signature: Signature) -> tuple[Any, Any]:
    """Resolve the types of one item and of one result; ``Any`` where nothing is said.

    Those of a columnar handler are dicts: one entry for each column.

    Raises:
        ConfigurationError: An annotation names something that cannot be found.
    """
    if signature.is_columnar:
        return dict[str, Any], dict[str, Any]
    function = signature.function
    target = function if inspect.isroutine(function) else type(function).__call__
    target = inspect.unwrap(target)
    try:
        hints = typing.get_type_hints(target, localns=_closure(target), include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ConfigurationError(
            f"the annotations of {getattr(function, '__qualname__', function)} cannot be resolved: {error}; "
            "define its item and result types at module level"
        ) from error
    return _element(hints.get(signature.items_parameter, Any)), _result(hints.get("return", Any))


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    """Names a nested handler sees of the functions around it."""
    try:
        return dict(inspect.getclosurevars(function).nonlocals)
    except (TypeError, ValueError):
        return {}


def _element(annotation: Any) -> Any:
    if typing.get_origin(annotation) is typing.Annotated:
        return _element(typing.get_args(annotation)[0])
    arguments = typing.get_args(annotation)
    return arguments[0] if arguments else Any


def _result(annotation: Any) -> Any:
    """Take R out of ``list[R | Failed]``, ``dict[T, R]`` or a union of them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _result(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return _union([_result(part) for part in typing.get_args(annotation)])
    arguments = typing.get_args(annotation)
    if not arguments:
        return Any
    return _value(arguments[1] if origin in _MAPPINGS and len(arguments) > 1 else arguments[0])


def _value(annotation: Any) -> Any:
    """Drop ``Failed`` and exceptions from a union; take R out of ``Ok[R]``."""
    origin = typing.get_origin(annotation)
    if origin is Ok:
        return typing.get_args(annotation)[0]
    if annotation is Ok:
        return Any
    if origin not in (typing.Union, types.UnionType):
        return annotation
    return _union([_value(part) for part in typing.get_args(annotation) if not _is_failure(part)])


def _is_failure(annotation: Any) -> bool:
    if annotation is Failed:
        return True
    return isinstance(annotation, type) and issubclass(annotation, BaseException)


def _union(parts: list[Any]) -> Any:
    if not parts:
        return Any
    union = parts[0]
    for part in parts[1:]:
        union = Any if Any in (union, part) else typing.Union[union, part]  # noqa: UP007 - parts are values, not syntax
    return union
