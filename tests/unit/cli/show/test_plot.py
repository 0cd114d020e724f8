from __future__ import annotations

import pytest

from gristmill.cli.show.canvas import ASCII, UNICODE
from gristmill.cli.show.plot import Curve, plot
from gristmill.testing.handler_simulator import affine
from gristmill.tuning.ladder import ladder
from gristmill.tuning.words import tick

COST = affine(fixed=0.005, item=0.00002)


def curve(*, mark: int = 2300, log: bool = False, largest: int = 10_000, spread: float = 0.0) -> Curve:
    def height(size: float) -> float:
        seconds = 0.005 + 0.00002 * size
        return seconds if log else size / seconds

    points = [
        (size, height(size) * (1 - spread), height(size), height(size) * (1 + spread))
        for size in ladder(largest)
    ]
    return Curve(title="Title", points=points, line=height, mark=mark, log=log, label=tick if log else str)


def rows(shown: Curve, width: int = 39, height: int = 9, signs: object = UNICODE) -> list[str]:
    return [line.plain for line in plot(shown, width=width, height=height, signs=signs)]  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [39, 30, 66])
@pytest.mark.parametrize("log", [False, True])
def test_every_line_is_as_wide_as_was_asked(width: int, *, log: bool) -> None:
    lines = rows(curve(log=log), width=width)
    assert len(lines) == 9 + 4
    assert {len(line) for line in lines} == {width}


def test_every_size_has_a_point_and_they_rise() -> None:
    lines = rows(curve(), width=80, height=12)
    places = [(line.index(each), row) for row, line in enumerate(lines) for each in line if each == "●"]
    columns = sorted(
        (column, -row) for row, line in enumerate(lines) for column, sign in enumerate(line) if sign == "●"
    )
    assert len(columns) == len(ladder(10_000))
    heights = [height for _, height in columns]
    assert heights == sorted(heights)
    assert heights[0] < heights[-1]
    assert places


def test_the_recommended_size_is_marked_between_its_neighbours() -> None:
    lines = rows(curve(mark=2300), width=80)
    pointer, sizes = lines[-1], lines[-2]
    column = pointer.index("▲")
    assert pointer.strip() in ("▲ 2,300", "2,300 ▲")
    assert sizes.index("2k") < column < sizes.index("5k")
    assert all(line[column] == "┊" for line in lines[1:4])


@pytest.mark.parametrize("mark", [1, 10_000])
def test_a_mark_at_an_end_is_inside_the_plot(mark: int) -> None:
    pointer = rows(curve(mark=mark))[-1]
    assert f"{mark:,}" in pointer
    assert "▲" in pointer


def test_labels_of_sizes_do_not_touch() -> None:
    labels = rows(curve(), width=34)[-2].split()
    assert {"1", "10", "100", "1k", "10k"} <= set(labels)
    known = {"1", "2", "5", "10", "20", "50", "100", "200", "500", "1k", "2k", "5k", "10k"}
    assert set(labels) <= known


def test_a_linear_axis_begins_at_nothing_and_ends_above_all() -> None:
    lines = rows(curve())
    assert lines[9].lstrip().startswith("0")
    assert lines[1].lstrip().startswith("50000.0")


def test_a_logarithmic_axis_is_labelled_at_round_heights() -> None:
    labels = [line.split("┤")[0].strip() for line in rows(curve(log=True)) if "┤" in line]
    assert labels == ["100 ms", "10 ms"]


def test_spread_is_a_bar_through_the_point() -> None:
    plain, spread = rows(curve(), width=80), rows(curve(spread=0.4), width=80)
    assert sum(line[12:].count("│") for line in plain) == 0
    assert sum(line[12:].count("│") for line in spread) > 5


def test_ascii_is_enough() -> None:
    for log in (False, True):
        text = "\n".join(rows(curve(log=log, spread=0.3), signs=ASCII))
        text.encode("ascii")
        assert text.count("o") > 5
        assert "." in text
