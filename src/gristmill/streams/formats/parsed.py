"""What parsing a chunk found: what can be used, what cannot, and where each came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")

BadCode: TypeAlias = Literal["column_count", "bad_encoding", "nul_byte", "malformed_json", "invalid_item"]


@dataclass(frozen=True, slots=True)
class BadRow:
    """Why a record is no row.

    Attributes:
        code: For programs.
        message: For people.
    """

    code: BadCode
    message: str


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """The records of one chunk.

    Attributes:
        rows: What the good ones are, in order.
        records: Which record each row was, parallel to *rows*; a number is an index into the chunk's
            ``spans`` or ``line_spans``.
        bad: Which records are no rows, and why.
        blank: How many lines were blank; they are nobody's fault.
    """

    rows: list[T]
    records: Sequence[int]
    bad: dict[int, BadRow]
    blank: int
