"""One curve against batch size, on a logarithmic axis, in a few lines of a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from gristmill.cli.show.canvas import COLUMNS, Canvas, Signs
from gristmill.tuning.curves import curve_sizes, log_ticks, nice_top
from gristmill.tuning.words import short

LINE, POINT, MARK, AXIS = "blue", "bold cyan", "green", "dim"
"""Styles of the fitted line, of what was measured, of the recommended size, and of the axes."""
_MARGIN = 0.04  # of the width, at both ends of the sizes
_LABELS = 4  # rows from one label of a linear axis to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What one plot shows.

    Attributes:
        title: Above it.
        points: (size, low, middle, high) of what was measured.
        line: The fitted value of a size.
        mark: The recommended size.
        log: Whether heights are logarithmic; else they begin at 0.
        label: Writes a height.
    """

    title: str
    points: Sequence[tuple[int, float, float, float]]
    line: Callable[[float], float]
    mark: int
    log: bool = False
    label: Callable[[float], str] = field(default=short)


def plot(curve: Curve, *, width: int, height: int, signs: Signs) -> list[Text]:
    """Return *curve* as lines of *width* characters: title, *height* rows, axis, sizes and the mark."""
    low, high = _range(curve)
    labels = _labels(curve, low, high, height)
    gutter = max(map(len, labels.values()))
    canvas = Canvas(width - gutter - 2, height, signs)
    across = _axis(curve)

    def up(value: float) -> float:
        return math.log(value / low) / math.log(high / low) if curve.log else (value - low) / (high - low)

    mark = across(curve.mark)
    for row in range(height):
        canvas.mark(mark, (row + 0.5) / height, signs.rule, MARK)
    for size in curve_sizes(curve.points[0][0], curve.points[-1][0], 2 * COLUMNS * canvas.width):
        canvas.dot(across(size), up(curve.line(size)))
    for size, least, middle, most in curve.points:
        for row in range(canvas.row(up(least)), canvas.row(up(most)) + 1):
            canvas.mark(across(size), (row + 0.5) / height, signs.bar, POINT)
        canvas.mark(across(size), up(middle), signs.point, POINT)
    rows = [Text(" " * (gutter + 2) + curve.title, "bold")]
    for index, line in enumerate(canvas.lines(LINE)):
        label = labels.get(height - 1 - index, "")
        rows.append(Text.assemble((f"{label:>{gutter}} {signs.tick if label else signs.side}", AXIS), line))
    rows.append(Text(f"{'':{gutter}} {signs.corner}{signs.floor * canvas.width}", AXIS))
    rows.append(Text(" " * (gutter + 2) + _sizes(curve, canvas, across), AXIS))
    rows.append(Text(" " * (gutter + 2) + _pointer(curve, canvas, mark, signs), MARK))
    for each in rows:
        each.truncate(width, pad=True)
    return rows


def _axis(curve: Curve) -> Callable[[float], float]:
    """Return where a size is, from 0 to 1."""
    first, last = curve.points[0][0], curve.points[-1][0]

    def across(size: float) -> float:
        return _MARGIN + (1 - 2 * _MARGIN) * math.log(size / first) / math.log(last / first)

    return across


def _range(curve: Curve) -> tuple[float, float]:
    top = max([high for *_, high in curve.points] + [curve.line(size) for size, *_ in curve.points])
    if not curve.log:
        return 0.0, nice_top(top)
    bottom = min([low for _, low, *_ in curve.points] + [curve.line(size) for size, *_ in curve.points])
    return bottom / 1.3, top * 1.3


def _labels(curve: Curve, low: float, high: float, height: int) -> dict[int, str]:
    """Return the labels of heights: row from below -> label."""
    if curve.log:
        share = {tick: math.log(tick / low) / math.log(high / low) for tick in log_ticks(low, high)}
        found: dict[int, str] = {}
        for tick, at in share.items():
            row = min(int(at * height), height - 1)
            if row - 1 not in found:
                found.setdefault(row, curve.label(tick))
        return found
    parts = max(1, height // _LABELS)
    return {
        min(round(part / parts * (height - 1)), height - 1): curve.label(high * part / parts)
        for part in range(parts + 1)
    }


def _sizes(curve: Curve, canvas: Canvas, across: Callable[[float], float]) -> str:
    """Return as many sizes as there is room for below the axis; powers of ten come first."""
    line = [" "] * canvas.width
    sizes = [size for size, *_ in curve.points]
    for size in sorted(sizes, key=lambda each: (str(each).strip("0") != "1", each)):
        label = short(size)
        start = max(0, min(canvas.column(across(size)) - len(label) // 2, canvas.width - len(label)))
        if all(each == " " for each in line[max(0, start - 1) : start + len(label) + 1]):
            line[start : start + len(label)] = label
    return "".join(line)


def _pointer(curve: Curve, canvas: Canvas, mark: float, signs: Signs) -> str:
    label = f"{curve.mark:,}"
    column = canvas.column(mark)
    if column + len(label) + 2 <= canvas.width:
        return f"{'':{column}}{signs.here} {label}"
    return f"{label} {signs.here}".rjust(column + 1)
