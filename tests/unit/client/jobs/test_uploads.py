"""The bodies of jobs."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from gristmill.client.formats import HandlerFormat
from gristmill.client.jobs.uploads import Upload, file_upload, items_upload
from gristmill.errors import ConfigurationError, ItemFailed


async def whole(upload: Upload) -> bytes:
    return b"".join([piece async for piece in upload.pieces()])


async def test_a_list_can_be_sent_again_and_a_stream_cannot() -> None:
    listed = items_upload([1, {"a": 2}], HandlerFormat(Any))
    assert await whole(listed) == await whole(listed) == b'1\n{"a":2}\n'
    assert listed.is_repeatable
    assert not items_upload(iter([1]), HandlerFormat(Any)).is_repeatable


async def test_long_lists_go_in_pieces() -> None:
    upload = items_upload(range(200_000), HandlerFormat(Any))
    pieces = [piece async for piece in upload.pieces()]
    assert len(pieces) > 3
    assert b"".join(pieces).split() == [b"%d" % index for index in range(200_000)]


async def test_an_item_without_json_is_told_apart_from_a_broken_connection() -> None:
    upload = items_upload([1, float("nan")], HandlerFormat(Any))
    with pytest.raises(ItemFailed):
        await whole(upload)
    assert isinstance(upload.failures[0], ItemFailed)


@pytest.mark.parametrize(
    ("name", "format", "compress", "content_type", "encoding"),
    [
        ("a.csv", None, False, "text/csv", ""),
        ("a.CSV", None, True, "text/csv", "gzip"),
        ("a.csv.gz", None, True, "text/csv", "gzip"),
        ("a.jsonl", None, False, "application/x-ndjson", ""),
        ("a.b.ndjson.gz", None, False, "application/x-ndjson", "gzip"),
        ("a", "csv", False, "text/csv", ""),
    ],
)
async def test_files_go_as_they_are_or_packed(
    tmp_path: Path,
    *,
    name: str,
    format: str | None,
    compress: bool,
    content_type: str,
    encoding: str,
) -> None:
    text = b"n\n" + b"".join(b"%d\n" % index for index in range(100_000))
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    upload = file_upload(path, format, compress=compress)
    assert (upload.content_type, upload.content_encoding) == (content_type, encoding)
    for _ in range(2):
        body = await whole(upload)
        assert (gzip.decompress(body) if encoding else body) == text


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_upload(tmp_path / "a.csv", None, compress=False)
    path = tmp_path / "a.parquet"
    path.touch()
    with pytest.raises(ConfigurationError, match="format="):
        file_upload(path, None, compress=False)
