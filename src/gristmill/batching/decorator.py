"""``@batch``: make a batch handler of a function or a method."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, overload

from gristmill.batching.columnar import ColumnarCall
from gristmill.batching.context import BatchContext
from gristmill.batching.executors.inline import Inline
from gristmill.batching.executors.protocol import Executor
from gristmill.batching.executors.threads import Threads
from gristmill.batching.handler import BatchHandler
from gristmill.batching.recipe import Recipe
from gristmill.batching.runner import Call
from gristmill.batching.signature import Signature, read_signature
from gristmill.errors import ConfigurationError
from gristmill.model.limits import Limits, OnError
from gristmill.model.linger import Linger
from gristmill.model.outcome import Failed
from gristmill.model.retry import Retry
from gristmill.model.sizing import Adaptive

T = TypeVar("T")
R = TypeVar("R")

_Values: TypeAlias = Sequence[R | Failed | Exception] | Mapping[Any, R | Failed | Exception]
_Reply: TypeAlias = Awaitable[_Values[R]] | _Values[R]


_MISSING: Any = object()


class BatchMethod(Generic[T, R]):
    """A batch handler in a class: each instance has one of its own.

    The handler of an instance lives in the instance's ``__dict__`` and goes
    with it; a copy or an unpickled instance makes a new one.
    """

    def __init__(self, signature: Signature, build: Callable[[object], BatchHandler[T, R]]) -> None:
        self.func = signature.function
        self.__doc__ = signature.function.__doc__
        self.__name__ = signature.function.__name__
        self._build = build

    @overload
    def __get__(self, instance: None, owner: type) -> BatchMethod[T, R]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> BatchHandler[T, R]: ...

    def __get__(self, instance: object | None, owner: type) -> BatchMethod[T, R] | BatchHandler[T, R]:
        """Return the handler of *instance*.

        Raises:
            ConfigurationError: Its class has ``__slots__`` and no ``__dict__``.
        """
        if instance is None:
            return self
        place = f"_gristmill_{self.__name__}"
        try:
            held = instance.__dict__.get(place, _MISSING)
        except AttributeError:
            raise ConfigurationError(
                f"{owner.__name__}.{self.__name__}: a batch method keeps its buffer in the instance, "
                f"and {owner.__name__} has __slots__ without '__dict__'; add it there"
            ) from None
        if held is _MISSING:
            # setdefault: two threads that come at once get the same one.
            held = instance.__dict__.setdefault(place, _Held(instance, self._build(instance)))
        elif held is None or held.owner() is not instance:  # from the instance this one is a copy of
            held = instance.__dict__[place] = _Held(instance, self._build(instance))
        handler: BatchHandler[T, R] = held.handler
        return handler


class _Held:
    """The handler of one instance, which copies of the instance do not take along."""

    def __init__(self, owner: object, handler: BatchHandler[Any, Any]) -> None:
        self.owner: Callable[[], object | None] = weakref.ref(owner)
        self.handler = handler

    def __reduce__(self) -> tuple[Any, ...]:
        return (_nothing, ())


def _nothing() -> None:
    """Stand for the handler of an instance that was copied or pickled."""


class _Decorator(Protocol):
    """``batch(...)`` with its options, waiting for the function."""

    @overload
    def __call__(self, function: Callable[[list[T]], _Reply[R]], /) -> BatchHandler[T, R]: ...
    @overload
    def __call__(self, function: Callable[[list[T], BatchContext], _Reply[R]], /) -> BatchHandler[T, R]: ...
    @overload
    def __call__(self, function: Callable[[Any, list[T]], _Reply[R]], /) -> BatchMethod[T, R]: ...
    @overload
    def __call__(
        self, function: Callable[[Any, list[T], BatchContext], _Reply[R]], /
    ) -> BatchMethod[T, R]: ...


@overload
def batch(function: Callable[[list[T]], _Reply[R]], /) -> BatchHandler[T, R]: ...
@overload
def batch(function: Callable[[list[T], BatchContext], _Reply[R]], /) -> BatchHandler[T, R]: ...
@overload
def batch(function: Callable[[Any, list[T]], _Reply[R]], /) -> BatchMethod[T, R]: ...
@overload
def batch(function: Callable[[Any, list[T], BatchContext], _Reply[R]], /) -> BatchMethod[T, R]: ...
@overload
def batch(
    *,
    name: str | None = None,
    max_size: int | Adaptive = 100,
    max_wait: float | Linger = 0.0,
    max_weight: float | None = None,
    weigh: Callable[[Any], float] | None = None,
    concurrency: int | None = None,
    key: Callable[[Any], Hashable] | None = None,
    dedupe: bool | Callable[[Any], Hashable] = False,
    max_pending: int = 10_000,
    timeout: float | None = 30.0,
    retry: Retry | None = None,
    on_error: OnError = "raise",
    executor: Executor | None = None,
) -> _Decorator: ...


def batch(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> Any:
    """Make a batch handler of a function that takes a list and returns a list.

    ::

        @batch(max_size=500)
        async def create_users(users: list[NewUser]) -> list[User | Failed]: ...

        user = await create_users(new_user)

    The function gets a list of items and returns one result for each, in
    their order, or a dict from item to result. A ``Failed(...)`` or an
    exception instance in the place of a result fails that item alone; what the
    function raises fails its whole batch. A plain ``def`` runs in a thread. A
    second parameter gets the ``BatchContext``.

    A function whose first parameter is a ``pyarrow.RecordBatch`` gets columns
    and returns columns, one row for each it got: what pipelines are fastest
    with. Called in any other way, its items and results are dicts.

    Args:
        function: The function, when ``@batch`` stands without parentheses.
        name: Names the handler in routes, metrics and logs; the function's own by default.
        max_size: Items in one batch at most, or ``Adaptive(...)`` to learn it.
        max_wait: Seconds to linger for more items while a slot is free; 0
            dispatches on the next turn of the loop. Or ``Linger(cost=...)``.
        max_weight: Summed ``weigh`` of one batch at most.
        weigh: An item's weight: bytes, tokens, rows.
        concurrency: Batches in flight at once.
        key: Items of different keys never share a batch.
        dedupe: Send equal items of a batch once; True compares the items, a
            function gives what is compared. The callers share one result
            object.
        max_pending: Items that may be admitted and not answered; beyond,
            ``handler(x)`` raises ``QueueFull`` while ``many`` and ``stream`` wait.
        timeout: Seconds from a call to its answer, retries included; then it
            fails with ``DeadlineExceeded``. For lists and streams it counts
            from the start of each batch. Where batches are timed, for ``Adaptive``
            and ``Linger``, a call that cannot be answered in time any more fails
            before its batch starts. None waits for ever.
        retry: ``Retry(...)``: try failed items again, alone.
        on_error: ``"bisect"`` re-runs the halves of a batch that raised until
            the poison items stand alone; only for handlers that are atomic or
            idempotent.
        executor: Where batches run: ``Inline()``, ``Threads()``, ``Processes()``, ``Ray()``.

        options: All of the above but ``name`` and ``executor``, as ``Limits`` documents them.

    Returns:
        A ``BatchHandler``; for a method, a descriptor that gives each instance one.

    Raises:
        ConfigurationError: The function takes no list, or an option cannot work.
    """
    limits = _limits(options)
    if name is not None and not isinstance(name, str):
        raise ConfigurationError(f"name is a string, not {name!r}")
    kind: object = executor  # whatever was given; a class has a `run` too, but no slots
    if kind is not None and (isinstance(kind, type) or not callable(getattr(kind, "run", None))):
        raise ConfigurationError(
            f"executor takes Inline(), Threads(), Processes() or Ray(), with parentheses, not {executor!r}"
        )

    def decorate(function: Callable[..., Any]) -> Any:
        signature = read_signature(function)
        runs_in = executor or (Inline() if signature.is_async else Threads())

        def build(owner: object) -> BatchHandler[Any, Any]:
            return _make_handler(signature, name, limits, runs_in, owner)

        return BatchMethod(signature, build) if signature.is_method else build(None)

    return decorate if function is None else decorate(function)


def _limits(options: dict[str, Any]) -> Limits:
    names = [field.name for field in fields(Limits)]
    unknown = options.keys() - names
    if unknown:
        known = ", ".join(("name", "executor", *names))
        raise ConfigurationError(f"@batch has no option {', '.join(sorted(unknown))}; it has {known}")
    return Limits(**options)


def _make_handler(
    signature: Signature, name: str | None, limits: Limits, executor: Executor, owner: object
) -> BatchHandler[Any, Any]:
    function = signature.function
    if owner is not None:
        function = function.__get__(owner, type(owner))
    shown = name or str(getattr(signature.function, "__name__", type(signature.function).__name__))
    # An async function on the loop needs nobody between it and the runner.
    is_direct = isinstance(executor, Inline) and signature.is_async
    kind = ColumnarCall if signature.is_columnar else Call
    call = kind(shown, function, None if is_direct else executor, takes_context=signature.takes_context)
    return BatchHandler(Recipe(call, limits, executor.slots), signature)
