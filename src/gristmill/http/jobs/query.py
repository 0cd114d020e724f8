"""Query parameters, each read as what it should be. Pure; no value gets into a refusal, and no odd name."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

from gristmill.http.problems import Refused, problem
from gristmill.model.job import LAST_DUE, LONGEST

E = TypeVar("E", bound=StrEnum)

_MOST = 100  # parameters of one request
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_WHOLE = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def invalid_option(name: str, expected: str) -> Refused:
    """Return the refusal of the parameter *name*, which should be *expected*."""
    return Refused(problem("invalid_option", detail=f"{name} is {expected}"))


def unknown_option(name: str, known: Collection[str]) -> Refused:
    """Return the refusal of the parameter *name*, which is none of those *known*."""
    shown = name if _NAME.fullmatch(name) else "one"
    there_are = ", ".join(sorted(known)) or "none"
    return Refused(
        problem("unknown_option", detail=f"{shown} is no parameter of this route; there are: {there_are}")
    )


def check_text(name: str, value: str | None, longest: int = 255) -> str | None:
    """Return *value*, a text of 1 to *longest* printable characters, or None if there is none."""
    if value is not None and not (1 <= len(value) <= longest and value.isprintable()):
        raise invalid_option(name, f"a text of 1 to {longest} printable characters")
    return value


class Query:
    """The parameters of one request.

    Args:
        text: The query string, percent-encoded.
        known: The names there may be; None ignores those that nobody reads.

    Raises:
        Refused: ``invalid_option``: it is no query string. ``unknown_option``: it has another name.
    """

    def __init__(self, text: bytes, known: Collection[str] | None = None) -> None:
        try:
            pairs = parse_qsl(
                text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST
            )
        except ValueError as error:
            raise invalid_option("the query", f"at most {_MOST} parameters in UTF-8") from error
        self._values: Mapping[str, str] = dict(pairs)
        if known is not None and (others := self._values.keys() - set(known)):
            raise unknown_option(min(others), known)

    def text(self, name: str, longest: int = 255) -> str | None:
        """Return a text of 1 to *longest* characters, or None if there is none."""
        return check_text(name, self._values.get(name), longest)

    def whole(self, name: str, lowest: int, highest: int, default: int) -> int:
        """Return a whole number from *lowest* to *highest*."""
        value = self._values.get(name)
        if value is None:
            return default
        if _WHOLE.fullmatch(value) is None or not lowest <= int(value) <= highest:
            raise invalid_option(name, f"a whole number from {lowest} to {highest}")
        return int(value)

    def seconds(self, name: str) -> float:
        """Return a number of seconds that a job may wait; 0 without one."""
        value = self._values.get(name)
        if value is None:
            return 0.0
        if _NUMBER.fullmatch(value) is None or float(value) > LONGEST:
            raise invalid_option(name, f"a number of seconds, 0 to {LONGEST:.0f}")
        return float(value)

    def truth(self, name: str, *, default: bool) -> bool:
        """Return ``true`` or ``false``."""
        value = self._values.get(name)
        if value is None:
            return default
        if value not in _TRUTH:
            raise invalid_option(name, "true or false")
        return _TRUTH[value]

    def raw(self, name: str) -> str | None:
        """Return what was given, to be checked by whoever reads it, or None if there is none."""
        return self._values.get(name)

    def literal(self, name: str, kind: Any, default: Any) -> Any:
        """Return one of the texts of *kind*, a ``Literal``."""
        value = self._values.get(name, default)
        if value not in get_args(kind):
            raise invalid_option(name, "one of " + ", ".join(get_args(kind)))
        return value

    def choice(self, name: str, kind: type[E]) -> E | None:
        """Return one of the values of *kind*, or None if there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as error:
            raise invalid_option(name, "one of " + ", ".join(kind)) from error

    def moment(self, name: str) -> float | None:
        """Return a time in seconds of the epoch, or None if there is none."""
        value = self._values.get(name)
        return None if value is None else moment_of(value, name)


def moment_of(value: str | float, name: str) -> float:
    """Return a time, RFC 3339 or in seconds of the epoch, as seconds of the epoch.

    Raises:
        Refused: ``invalid_option`` about *name*.
    """
    expected = f"a time like 2026-11-23T13:17:07Z, or seconds of the epoch, up to {LAST_DUE:.0f}"
    if not isinstance(value, str):
        return _checked(float(value), name, expected)
    if _NUMBER.fullmatch(value) is not None:
        return _checked(float(value), name, expected)
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        found = dt.datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError as error:
        raise invalid_option(name, expected) from error
    if found.tzinfo is None:
        raise invalid_option(name, expected)
    return _checked(found.timestamp(), name, expected)


def _checked(at: float, name: str, expected: str) -> float:
    if not 0 <= at <= LAST_DUE:
        raise invalid_option(name, expected)
    return at
