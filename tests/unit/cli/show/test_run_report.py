from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from gristmill.cli.show.run_report import samples, show_report
from gristmill.streams.chunk import Counts
from gristmill.streams.dead_letter import DeadLetter
from gristmill.streams.report import Report, Stalls


def letter(row: int, code: str, message: str = "no") -> bytes:
    found = DeadLetter(
        source="in.csv", row=row, start=10 * row, end=0, stage="handler", code=code, message=message
    )
    return msgspec.json.encode(found) + b"\n"


def shown(dead: Path | None = None, seconds: float = 2.0, **fields: Any) -> str:
    text = io.StringIO()
    stalls = Stalls(lambda: 0.0)
    stalls.seconds.update(workers=1.5, sink=0.002)
    report = Report(**{"total": None, "counts": Counts(), "stalls": stalls, **fields})
    console = Console(file=text, width=60, highlight=False, markup=False)
    show_report(console, report, seconds=seconds, output="out.csv", dead=dead)
    return text.getvalue()


def test_rows_speed_and_waits_are_told() -> None:
    counts = Counts(read=1_234_567, succeeded=1_234_560, failed=0, filtered=7)
    text = shown(counts=counts, rows=100_000, start=500, committed=2_000_500, deaths=2)
    assert "1,234,567 rows read: 1,234,560 written to out.csv, 0" in text.replace("\n", " ")
    assert "7 filtered out" in text.replace("\n", " ")
    assert "2.0 s, 50k rows/s, 1 MB/s; waited for: 75% workers" in text.replace("\n", " ")
    assert "sink" not in text  # less than noise
    assert "2 workers died and were replaced" in text


def test_nothing_is_divided_by_no_time() -> None:
    assert "waited for" in shown(seconds=0.0, rows=1)
    assert "waited for" not in shown(rows=0)


def test_the_most_frequent_errors_are_told_with_samples(tmp_path: Path) -> None:
    dead = tmp_path / "a folder with a very long name that fills the line of a terminal.ndjson"
    dead.write_bytes(
        b"".join(letter(n, "often") for n in range(1, 9)) + letter(9, "once", "evil \x1b[31m\n" + "x" * 500)
    )
    codes = {"once": 1, "often": 8, **{f"code{n}": 2 for n in range(6)}}
    text = shown(dead, counts=Counts(read=50, failed=21), codes=codes)
    lines = text.splitlines()
    assert "        8  often" in text
    assert [line.split("row ")[1][0] for line in lines if "in.csv row" in line and "no" in line][:3] == [
        "1",
        "2",
        "3",
    ]
    assert "row 4" not in text
    assert f"failed rows are in {dead}; run it as an input once the reason is gone" in lines
    assert "of 3 other codes" in text
    text = shown(dead, counts=Counts(read=9, failed=9), codes={"once": 1})
    assert "evil ?[31m xxx" in text
    assert "x" * 200 not in text


@pytest.mark.parametrize("content", [None, b"", b"torn", letter(1, "a") + b"{"])
def test_samples_are_a_courtesy(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "d"
    if content is not None:
        path.write_bytes(content)
    assert len(samples(path, ["a"])["a"]) == (content or b"").count(b"in.csv")
