r"""JSON lines (NDJSON): a line is what ends with ``\n``, and holds one value or is blank.

JSON allows no line end inside a string, so every ``\n`` may end a piece. A value over several lines is an
error, however the file is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from gristmill.codec import pydantic_models
from gristmill.streams.formats.parsed import BadRow, Parsed

T = TypeVar("T")

_SPACE = b" \t\r"
_DEPTH = 64
_DEEPER, _LESS_DEEP = b"[" * _DEPTH, b"]" * _DEPTH
"""Levels that are kept free: how deep values may be nested depends on how deep the call of the reader is."""


def cut_lines(window: bytes | memoryview, *, is_last: bool) -> int | None:
    r"""Return the length of the longest beginning of *window* that ends with a line.

    Args:
        window: Bytes of the file from the beginning of a line; a ``memoryview`` is copied.
        is_last: Whether the file ends with the window. Then all of it is taken.

    Returns:
        None if no line ends in the window.
    """
    if is_last:
        return len(window)
    return bytes(window).rfind(b"\n") + 1 or None


def line_spans(chunk: bytes) -> list[tuple[int, int]]:
    r"""Return the byte range of every line of *chunk*, blank ones included, without its end."""
    found = []
    start = 0
    for line in chunk.removesuffix(b"\n").split(b"\n"):
        found.append((start, start + len(line) - line.endswith(b"\r")))
        start += len(line) + 1
    return found


def parse_lines(chunk: bytes, decode: Callable[[bytes], T]) -> Parsed[T]:
    """Return the values of the lines of *chunk*; a bad one spoils itself alone.

    Args:
        chunk: Whole lines; the last one may lack its end.
        decode: Makes a value of a line, as ``msgspec.json.Decoder(...).decode`` does. ``decode_lines`` would
            be up to twice as fast and takes two values on a line, or one on two, for what they are.

    Returns:
        The values. Bad lines are ``malformed_json``, ``bad_encoding``, or ``invalid_item``: JSON, but not of
        the decoder's type.
    """
    if b"\r" in chunk:
        lines = [line.removesuffix(b"\r") for line in chunk.split(b"\n")]
    else:
        lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    try:
        values = list(map(decode, lines))
    except (ValueError, RecursionError):  # a bad line, or a blank one: of msgspec, pydantic and UTF-8
        return _one_by_one(lines, decode)
    return Parsed(values, range(len(values)), {}, 0)


def _one_by_one(lines: list[bytes], decode: Callable[[bytes], T]) -> Parsed[T]:
    rows: list[T] = []
    records: list[int] = []
    bad: dict[int, BadRow] = {}
    blank = 0
    for index, line in enumerate(lines):
        if not line.strip(_SPACE):
            blank += 1
            continue
        try:
            rows.append(decode(line))
        except (ValueError, RecursionError) as error:
            bad[index] = complaint(line, error)
        else:
            records.append(index)
    return Parsed(rows, records, bad, blank)


def complaint(line: bytes, error: Exception) -> BadRow:
    """Return what is wrong with *line*, for which a decoder raised *error*.

    Decoders of a type stop at the first value that is not of it, and never see that what follows is no JSON.
    """
    try:
        line.decode()
        msgspec.json.decode(line, type=msgspec.Raw)
    except UnicodeDecodeError:
        return BadRow("bad_encoding", "the line is not UTF-8")
    except msgspec.DecodeError as malformed:
        return BadRow("malformed_json", str(malformed))
    except RecursionError:
        return BadRow("malformed_json", "the line is nested too deeply")
    return BadRow("invalid_item", pydantic_models.told(error))


def as_stored(line: bytes) -> msgspec.Raw | None:
    """Return *line* as a part of a dead letter; None if readers of letters could not read it."""
    try:
        line.decode()
        msgspec.json.decode(line, type=msgspec.Raw)  # first of all: "1,2" is a value in brackets only
        msgspec.json.decode(_DEEPER + line + _LESS_DEEP, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return None
    return msgspec.Raw(line)
