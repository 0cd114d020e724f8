from __future__ import annotations

import dataclasses

import pytest

from gristmill.cli.show.canvas import ASCII, UNICODE, Canvas, signs_for


def rows(canvas: Canvas) -> list[str]:
    return [line.plain for line in canvas.lines("blue")]


def test_dots_are_two_by_four_to_a_character() -> None:
    canvas = Canvas(1, 1, UNICODE)
    for x, y in ((0, 0), (1, 1)):
        canvas.dot(x, y)
    assert rows(canvas) == ["⡈"]
    for x in (0, 1):
        for y in (0, 1 / 3, 2 / 3, 1):
            canvas.dot(x, y)
    assert rows(canvas) == ["⣿"]


def test_the_corners_are_where_they_belong() -> None:
    canvas = Canvas(3, 2, UNICODE)
    canvas.dot(0, 0)
    canvas.dot(1, 1)
    canvas.mark(1, 0, "●", "bold")
    assert rows(canvas) == ["  ⠈", "⡀ ●"]


def test_a_sign_covers_dots() -> None:
    canvas = Canvas(1, 1, UNICODE)
    canvas.mark(0, 0, "●", "bold")
    canvas.dot(0, 0)
    assert rows(canvas) == ["●"]


def test_what_is_outside_is_not_drawn() -> None:
    canvas = Canvas(2, 2, UNICODE)
    for x, y in ((-1, 0), (0, -1), (2, 0), (0, 2)):
        canvas.dot(x, y)
        canvas.mark(x, y, "●", "bold")
    assert rows(canvas) == ["  ", "  "]


@pytest.mark.parametrize(
    ("encoding", "signs"), [("utf-8", UNICODE), ("ascii", ASCII), ("cp1252", ASCII), ("no-such", ASCII)]
)
def test_signs_are_those_that_the_output_can_hold(encoding: str, signs: object) -> None:
    assert signs_for(encoding) is signs


def test_plain_signs_are_ascii() -> None:
    assert all(sign.isascii() for sign in dataclasses.astuple(ASCII))


def test_without_braille_a_dot_is_a_full_stop() -> None:
    canvas = Canvas(2, 1, ASCII)
    canvas.dot(0, 0)
    assert rows(canvas) == [". "]
