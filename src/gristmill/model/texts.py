"""Texts that every store can hold, and find again."""

from __future__ import annotations

import hashlib

from gristmill.errors import ConfigurationError

_LONGEST = 500  # bytes; an index of PostgreSQL holds some 2,700
_SHOWN = 100  # characters of a longer one
_LONGEST_CODE = 100  # characters


def is_unicode(text: str) -> bool:
    """Tell whether *text* can be encoded: halves of surrogate pairs, as of odd file names, cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def check_key(name: str, key: object) -> None:
    """Refuse what is no key that a store can hold.

    Args:
        name: Of the parameter, for the message.
        key: Any text that can be encoded; NUL is one of its characters.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(key, str):
        raise ConfigurationError(f"{name} is a text, not {key!r}: give str() of it")
    if not is_unicode(key):
        raise ConfigurationError(
            f"{name} has half a surrogate pair in it, which no store can hold: {key!a}; "
            'give .encode("utf-8", "backslashreplace").decode() of it'
        )


def short_key(key: str) -> str:
    """Return *key* itself, or, of one that is too long for an index, its beginning and its SHA-256.

    Two keys are the same when their short ones are, on every store. *key* can be encoded.

    >>> short_key("user-7"), len(short_key("x" * 10_000))
    ('user-7', 165)
    """
    text = key.encode()
    if len(text) <= _LONGEST:
        return key
    return f"{key[:_SHOWN]}~{hashlib.sha256(text).hexdigest()}"


def short_code(code: str) -> str:
    """Return the *code* of a failure as stores keep it: the beginning of a long one."""
    return code[:_LONGEST_CODE]


def check_name(name: str, text: str | None) -> None:
    """Refuse a *text* that is the name of nothing: see ``check_key``; and nothing has a NUL in its name."""
    if text is None:
        return
    check_key(name, text)
    if "\0" in text:
        raise ConfigurationError(f"{name} has a NUL in it, which no name has: {text!a}")
