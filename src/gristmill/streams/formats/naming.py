"""Which format a file is in, by its name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath

from gristmill.errors import ConfigurationError
from gristmill.streams.formats.compression import Compression


class Format(StrEnum):
    """What a file holds."""

    CSV = "csv"
    TSV = "tsv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"
    DEAD_LETTER = "dead-letter"


_SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".arrow": Format.ARROW,
    ".arrows": Format.ARROW,
    ".feather": Format.ARROW,
}
_COMPRESSED = {
    ".gz": Compression.GZIP,
    ".gzip": Compression.GZIP,
    ".zst": Compression.ZSTD,
    ".zstd": Compression.ZSTD,
}


def compression_of(name: str) -> Compression:
    """Return how a file called *name* is compressed."""
    return _COMPRESSED.get(PurePath(name).suffix.lower(), Compression.NONE)


def format_of(name: str, option: str) -> Format:
    """Return the format of a file called *name*.

    Args:
        name: Its path.
        option: What says the format where the name does not.

    Raises:
        ConfigurationError: The name says none.
    """
    suffixes = [each.lower() for each in PurePath(name).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    if suffixes[-2:] == [".dead", ".ndjson"]:
        return Format.DEAD_LETTER
    found = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if found is None:
        known = ", ".join(each.value for each in Format)
        raise ConfigurationError(f"the name {name!r} does not say its format; say it with {option} ({known})")
    return found
