from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.endpoints import expanded, same_file, sink_of, source_of
from gristmill.streams.options import ReadOptions, WriteOptions
from gristmill.streams.sinks.file import FileSink
from gristmill.streams.sinks.unkept import DeviceOutput, StandardOutput
from gristmill.streams.sources.text_file import TextFiles


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "c.ndjson", "[1].csv", "1.csv", "deep/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("id\n")
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "paths"),
    [
        (["b.csv", "a.csv"], ["b.csv", "a.csv"]),
        (["[ab].csv"], ["a.csv", "b.csv"]),
        (["[1].csv"], ["[1].csv"]),  # a file of that very name
        (["**/d.csv", "-"], ["deep/d.csv", "-"]),
        (["nope.csv"], ["nope.csv"]),  # told when it is opened
        (["*p/*"], ["deep/d.csv"]),
    ],
)
def test_patterns_are_replaced_by_what_they_match(inputs: list[str], paths: list[str]) -> None:
    assert expanded(inputs) == paths


@pytest.mark.parametrize("inputs", [["a.csv", "a.csv"], ["a.csv", "*.csv"], ["./a.csv", "a.csv"], ["-", "-"]])
def test_an_input_that_is_there_twice_is_refused(inputs: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        expanded(inputs)


def test_a_link_to_another_input_is_that_input(folder: Path) -> None:
    (folder / "z.csv").symlink_to(folder / "a.csv")
    with pytest.raises(ConfigurationError, match=r"z.csv is an input twice, as a.csv too"):
        expanded(["a.csv", "z.csv"])


@pytest.mark.parametrize(
    ("inputs", "error"), [([], ConfigurationError), (["*.tsv"], SourceError), (["dee?"], SourceError)]
)
def test_no_input_at_all_is_told(inputs: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        expanded(inputs)


@pytest.mark.parametrize(
    ("inputs", "options", "told"),
    [
        (["x"], {}, "--input-format"),
        (["-"], {}, "--input-format"),
        (["a.csv", "c.ndjson"], {}, "several formats: a.csv and c.ndjson"),
        (["a.csv"], {"format": "excel"}, "no format 'excel'"),
        (["a.csv"], {"delimiter": ",,"}, "delimiter"),
        (["a.csv"], {"quoting": "odd"}, "quoting 'odd'"),
        (["a.csv"], {"types": {"id": "int64"}}, "RecordBatch"),
    ],
)
def test_sources_that_cannot_be_are_refused(inputs: list[str], options: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        source_of(inputs, ReadOptions(**options))


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("a.csv", {}, ("csv", ",")),
        ("a.tsv.gz", {}, ("csv", "\t")),
        ("a.tsv", {"delimiter": ";"}, ("csv", ";")),
        ("a.jsonl", {}, ("ndjson", None)),
        ("a.txt", {"format": "json"}, ("ndjson", None)),
        ("a.csv.dead.ndjson", {}, ("dead-letter", ",")),
    ],
)
def test_the_name_or_the_option_says_the_format(
    name: str, options: Any, found: tuple[str, str | None]
) -> None:
    source = source_of([name], ReadOptions(**options))
    assert isinstance(source, TextFiles)
    assert (source.options["input format"], source.options.get("input delimiter")) == found
    assert source.is_replay == (found[0] == "dead-letter")


def test_sinks_are_files_or_standard_output() -> None:
    sink = sink_of("o.csv.gz", WriteOptions(columns=("a",)), ["a.csv"])
    assert isinstance(sink, FileSink)
    assert sink.options["output compression"] == "gzip"
    assert sink.options["output columns"] == ["a"]
    for name in ("-", "/dev/stdout"):
        standard = sink_of(name, WriteOptions(), ["-"])
        assert isinstance(standard, StandardOutput)
        assert standard.options["output format"] == "ndjson"


def test_what_is_no_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    sink = sink_of(tmp_path / "pipe.csv", WriteOptions(format="csv"), ["a.csv"])
    assert isinstance(sink, DeviceOutput)
    assert isinstance(sink_of(os.devnull, WriteOptions(), ["a.csv"]), DeviceOutput)
    with (tmp_path / "file").open("wb") as file:  # a shell's >(...) or 3>file is named so
        sink = sink_of(f"/dev/fd/{file.fileno()}", WriteOptions(), ["a.csv"])
    assert isinstance(sink, DeviceOutput)
    assert isinstance(sink_of(tmp_path / "file.csv", WriteOptions(), ["a.csv"]), FileSink)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("a.csv", {}, "is an input too"),
        ("./deep/../a.csv", {}, "is an input too"),
        ("o", {}, "--output-format"),
        ("o.dead.ndjson", {}, "dead letters are written by runs only"),
        ("deep/", {"format": "csv"}, "is a folder"),
        ("o.parquet.gz", {}, "leave .gz out, and choose a --codec"),
        ("o.arrow.zst", {}, "leave .zst out"),
        ("o.csv", {"codec": "zstd"}, "--codec is of Parquet"),
        ("o.arrow", {"codec": "zstd"}, "--codec is of Parquet"),
        ("o.ndjson", {"columns": ("a",)}, "columns are chosen for CSV only"),
        ("-", {"columns": ("a",)}, "columns are chosen for CSV only"),
        ("-", {"format": "parquet"}, "parquet cannot go to standard output"),
        ("-", {"format": "dead-letter"}, "cannot go to standard output"),
    ],
)
def test_sinks_that_cannot_be_are_refused(name: str, options: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        sink_of(name, WriteOptions(**options), ["a.csv", "standard input"])


def test_files_are_the_same_by_links_and_before_they_are_there(folder: Path) -> None:
    os.link(folder / "a.csv", folder / "hard")
    (folder / "soft").symlink_to("a.csv")
    (folder / "to nowhere").symlink_to("new")
    for one, other in (("hard", "a.csv"), ("soft", "hard"), ("to nowhere", "new"), ("deep/../new", "new")):
        assert same_file(Path(one), Path(other))
    assert not same_file(Path("a.csv"), Path("b.csv"))


@pytest.mark.parametrize(
    "option",
    [
        {"encoding": "latin-1"}, {"header": ("a",)}, {"pad": True}, {"extra": "x"}, {"delimiter": ";"},
        {"quoting": "none"}, {"on_duplicate": "first"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.ndjson", "a.parquet", "sqlite:///a.db#t"])
def test_options_of_csv_are_refused_where_they_would_have_no_effect(name: str, option: Any) -> None:
    with pytest.raises(ConfigurationError, match="says how CSV files are read, and the input is"):
        source_of([name], ReadOptions(**option))


def test_columns_of_a_table_are_selected_by_a_query() -> None:
    with pytest.raises(ConfigurationError, match="--select says how files are read"):
        source_of(["sqlite:///a.db#t"], ReadOptions(select={"a": "b"}))
