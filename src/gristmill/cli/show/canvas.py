"""A grid of characters to draw on: curves of braille dots, and signs on top of them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column] of one character
COLUMNS, ROWS = 2, 4
"""Dots in one character, across and down."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters of a plot."""

    point: str
    bar: str
    rule: str
    side: str
    tick: str
    corner: str
    floor: str
    here: str
    dot: str  # for every place with a dot; empty where there are braille characters


UNICODE = Signs("●", "│", "┊", "│", "┤", "└", "─", "▲", "")
ASCII = Signs("o", "|", ":", "|", "+", "+", "-", "^", ".")


def signs_for(encoding: str) -> Signs:
    """Return the characters that a terminal or file of *encoding* can hold."""
    try:
        "●│┊┤└─▲⣿".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


class Canvas:
    """Some characters wide and high; (0, 0) is the lower left, dots are ``COLUMNS`` by ``ROWS`` to one.

    What is outside is not drawn.
    """

    def __init__(self, width: int, height: int, signs: Signs) -> None:
        self.width = width
        self.height = height
        self._signs = signs
        self._dots: dict[tuple[int, int], int] = {}
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}

    def dot(self, x: float, y: float) -> None:
        """Set the dot at *x* from the left and *y* from below, both from 0 to 1."""
        across = round(x * (self.width * COLUMNS - 1))
        up = round(y * (self.height * ROWS - 1))
        if 0 <= across < self.width * COLUMNS and 0 <= up < self.height * ROWS:
            cell = (across // COLUMNS, up // ROWS)
            down = ROWS - 1 - up % ROWS
            self._dots[cell] = self._dots.get(cell, 0) | _DOTS[down][across % COLUMNS]

    def mark(self, x: float, y: float, sign: str, style: str) -> None:
        """Put *sign* where that dot is, over what is there."""
        across, up = self.column(x), self.row(y)
        if 0 <= across < self.width and 0 <= up < self.height:
            self._marks[across, up] = (sign, style)

    def column(self, x: float) -> int:
        """Return the column of characters at *x*, from 0 to 1."""
        return round(x * (self.width * COLUMNS - 1)) // COLUMNS

    def row(self, y: float) -> int:
        """Return the row of characters at *y*, from 0 to 1, counted from below."""
        return round(y * (self.height * ROWS - 1)) // ROWS

    def lines(self, style: str) -> list[Text]:
        """Return the rows, top first; *style* is that of dots."""
        return [self._line(up, style) for up in reversed(range(self.height))]

    def _line(self, up: int, style: str) -> Text:
        line = Text()
        for across in range(self.width):
            if (across, up) in self._marks:
                line.append(*self._marks[across, up])
            elif (across, up) in self._dots:
                line.append(self._signs.dot or chr(_BRAILLE + self._dots[across, up]), style)
            else:
                line.append(" ")
        return line
