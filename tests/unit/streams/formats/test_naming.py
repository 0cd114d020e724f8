from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.formats.compression import Compression
from gristmill.streams.formats.naming import Format, compression_of, format_of


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", Format.CSV),
        ("A.CSV", Format.CSV),
        ("a.b/c.tab", Format.TSV),
        ("a.jsonl.zst", Format.NDJSON),
        ("a.csv.gz", Format.CSV),
        ("a.dead.ndjson", Format.DEAD_LETTER),
        ("a.csv.dead.ndjson.gz", Format.DEAD_LETTER),
        ("dead.ndjson", Format.NDJSON),
        ("a.pq", Format.PARQUET),
        ("a.feather", Format.ARROW),
    ],
)
def test_names_say_formats(name: str, form: Format) -> None:
    assert format_of(name, "--x") is form


@pytest.mark.parametrize("name", ["a", "a.txt", ".csv", "a.gz", "folder.csv/a", "csv"])
def test_a_name_that_says_none_says_how_to_say_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--x"):
        format_of(name, "--x")


def test_names_say_how_an_output_is_compressed() -> None:
    names = ("a.csv.GZ", "a.gzip", "a.zst", "a.csv")
    assert [compression_of(name) for name in names] == [
        Compression.GZIP, Compression.GZIP, Compression.ZSTD, Compression.NONE,
    ]  # fmt: skip
