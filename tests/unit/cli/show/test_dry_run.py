from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from gristmill import batch
from gristmill.cli.show.dry_run import show_plan
from gristmill.errors import ConfigurationError
from gristmill.streams.options import ReadOptions
from gristmill.streams.pipeline import Pipeline


@batch(name="echo")
def echo(rows: list[dict[str, str]]) -> list[str]:
    return [row["a"] for row in rows]


def test_inputs_columns_handler_and_output_are_shown_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(23):
        (tmp_path / f"{number:02}.csv").write_text("a,b\n1,2\n")
    text = io.StringIO()
    show_plan(Console(file=text, width=200), Pipeline("*.csv", echo, "out.ndjson"))
    lines = text.getvalue().splitlines()
    assert lines[0] == "reads   00.csv, 8 B"
    assert lines[20] == "        and 3 more"
    assert lines[21] == "columns a, b"
    assert lines[22].startswith("runs    echo: ")
    assert lines[22].endswith("-> str")
    assert lines[23] == "writes  out.ndjson; rows that fail to out.ndjson.dead.ndjson"
    assert len(list(tmp_path.iterdir())) == 23


def test_columns_are_those_that_rows_get_and_wrong_ones_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    text = io.StringIO()
    read = ReadOptions(select={"b": "B"}, extra="more")
    show_plan(Console(file=text, width=200), Pipeline("in.csv", echo, "out.ndjson", read=read))
    assert "columns B, more" in text.getvalue().splitlines()
    with pytest.raises(ConfigurationError, match="there is no column 'c'"):
        show_plan(
            Console(file=text), Pipeline("in.csv", echo, "out.ndjson", read=ReadOptions(select={"c": "c"}))
        )
