r"""JSON lines (NDJSON): a line is what ends with ``\n``, and holds one value or is blank.

JSON allows no line end inside a string, so every ``\n`` may end a piece. A value over several lines is an
error, however the file is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from gristmill.streams.formats.parsed import BadRow, Parsed

T = TypeVar("T")

_SPACE = b" \t\r"


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
    except ValueError:  # a bad line, or a blank one; msgspec's errors and those of UTF-8 are such
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
        except msgspec.ValidationError as error:
            bad[index] = BadRow("invalid_item", str(error))
        except UnicodeDecodeError:
            bad[index] = BadRow("bad_encoding", "the line is not UTF-8")
        except ValueError as error:
            bad[index] = BadRow("malformed_json", str(error))
        else:
            records.append(index)
    return Parsed(rows, records, bad, blank)
