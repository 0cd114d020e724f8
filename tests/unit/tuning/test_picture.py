from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from gristmill import Adaptive
from gristmill.errors import ConfigurationError
from gristmill.testing.handler_simulator import affine, cliff
from gristmill.tuning.advice import Advice, advise
from gristmill.tuning.ladder import ladder
from gristmill.tuning.measuring import Measurement
from gristmill.tuning.picture import check_picture, draw_picture

Measured = Callable[..., Measurement]
LINE = affine(fixed=0.005, item=0.00002)


@pytest.fixture
def found(measured: Measured) -> tuple[Measurement, Advice]:
    measurement = measured(LINE, ladder(10_000))
    return measurement, advise(measurement, Adaptive())


def texts(path: Path) -> list[str]:
    return ["".join(each.itertext()) for each in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own file


def test_an_svg_says_what_it_shows(tmp_path: Path, found: tuple[Measurement, Advice]) -> None:
    draw_picture(tmp_path / "a.svg", "users", *found, target_latency=0.1)
    said = texts(tmp_path / "a.svg")
    for text in (
        "users: batches of 2,300 items",
        "Throughput, items a second",
        "Latency, time of a batch",
        "fit: 5.00 ms + 20.0 µs an item",
        "recommended: 2,300",
        "measured, median and 10-90 %",
        "target latency",
        "fixed cost",
        "10 ms",
        "10k",
    ):
        assert text in said, text
    assert "at 2,300 items the fixed 5.00 ms is 9.8 % of a batch" in " ".join(said).replace("At", "at")
    assert "beyond the cliff" not in said


def test_the_same_measurement_gives_the_same_file(tmp_path: Path, found: tuple[Measurement, Advice]) -> None:
    for name in ("a.svg", "b.svg"):
        draw_picture(tmp_path / name, "users", *found)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert not re.search(r"\d{4}-\d\d-\d\dT", (tmp_path / "a.svg").read_text())


def test_a_cliff_is_shaded(tmp_path: Path, measured: Measured) -> None:
    steep = measured(cliff(LINE, at=500, factor=3.0), ladder(10_000))
    draw_picture(tmp_path / "a.svg", "users", steep, advise(steep, Adaptive()))
    assert "beyond the cliff" in texts(tmp_path / "a.svg")


def test_a_png_is_one(tmp_path: Path, found: tuple[Measurement, Advice]) -> None:
    draw_picture(tmp_path / "A.PNG", "users", *found)
    with Image.open(tmp_path / "A.PNG") as image:
        assert image.format == "PNG"
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 50


def test_dollars_in_a_name_are_no_formula(tmp_path: Path, found: tuple[Measurement, Advice]) -> None:
    draw_picture(tmp_path / "a.svg", "us$x^2$ers", *found)
    assert "us$x^2$ers: batches of 2,300 items" in texts(tmp_path / "a.svg")


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.pdf", r"are .png or .svg files, and .*a\.pdf is neither"), ("none/a.png", "there is no folder")],
)
def test_what_could_not_be_drawn_is_refused_before(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_picture(tmp_path / name)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"gristmill\[plot\]"):
        check_picture(tmp_path / "a.png")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, found: tuple[Measurement, Advice]) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot write .*a\.png: Is a directory"):
        draw_picture(tmp_path / "a.png", "users", *found)
