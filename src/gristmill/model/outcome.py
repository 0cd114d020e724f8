"""What became of one item: ``Ok`` or ``Failed``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from gristmill.errors import BatchError, ItemFailed

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[R_co]):
    """The item succeeded with *value*.

    A handler may return plain values; it needs ``Ok(value)`` only where the
    value is itself an exception or a ``Failed``.
    """

    value: R_co

    @property
    def ok(self) -> bool:
        """True: there is a value."""
        return True

    def unwrap(self) -> R_co:
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Failed:
    """The item failed, alone: its neighbours in the batch are not touched.

    Args:
        error: What to tell the caller. Text is shown to callers on every way
            in; of an exception only the code is shown outside this process,
            since its text may hold secrets.
        code: A stable slug that programs may branch on, such as
            ``"unique_violation"``.
        retryable: Whether the same item may succeed later.
    """

    error: str | Exception = "failed"
    code: str = "failed"
    retryable: bool = False

    @property
    def ok(self) -> bool:
        """False: there is no value."""
        return False

    def exception(self) -> Exception:
        """Return what a caller of this item sees raised."""
        if isinstance(self.error, Exception):
            if isinstance(self.error, BatchError):
                return self.error
            wrapped = ItemFailed(text_of(self.error), code=self.code, retryable=self.retryable)
            wrapped.__cause__ = self.error
            return wrapped
        return ItemFailed(self.error, code=self.code, retryable=self.retryable)

    def unwrap(self) -> object:
        """Raise the item's exception."""
        raise self.exception()


Outcome: TypeAlias = Ok[R] | Failed


def text_of(error: BaseException) -> str:
    """Return what *error* says, its type where its own ``__str__`` raises: no caller may be left for that."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - as said
        return type(error).__name__


def failed_from(error: Exception) -> Failed:
    """Turn what a caller would see raised into the outcome ``Failed``.

    The inverse of ``Failed.exception``: an ``ItemFailed`` made from text gives
    that text again, any other exception is kept as it is.
    """
    if isinstance(error, ItemFailed):
        return Failed(
            error.__cause__ if isinstance(error.__cause__, Exception) else error.message,
            error.code,
            error.retryable,
        )
    if isinstance(error, BatchError):
        return Failed(error, error.code, error.retryable)
    return Failed(error, "handler_error", retryable=False)
