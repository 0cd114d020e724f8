from __future__ import annotations

import gzip
import io
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import SourceError
from gristmill.streams.formats.compression import Compression, Decompressor, compress, told_by

KINDS = [Compression.GZIP, Compression.ZSTD]
PARTS = st.lists(st.binary(max_size=50), min_size=1, max_size=5)
TEXT = random.Random(3).randbytes(400_000).hex().encode()


def read_on(stream: Decompressor, size: int, found: bytearray) -> None:
    while piece := stream.read(size):
        found += piece


def reader(data: bytes, kind: Compression) -> Decompressor:
    return Decompressor(io.BytesIO(data), kind, "x.gz")


@given(PARTS, st.sampled_from([*KINDS, Compression.NONE]), st.integers(1, 60))
@settings(deadline=None)
def test_members_one_after_another_are_one_stream(parts: list[bytes], kind: Compression, size: int) -> None:
    stream = reader(b"".join(compress(part, kind) for part in parts), kind)
    found = b""
    while piece := stream.read(size):
        assert len(piece) == min(size, len(b"".join(parts)) - len(found))  # short at the end only
        found += piece
        assert stream.position == len(found)
    assert found == b"".join(parts)
    assert stream.failure is None


def test_what_is_written_is_what_others_read_and_nothing_for_nothing() -> None:
    assert gzip.decompress(compress(b"abc", Compression.GZIP)) == b"abc"
    assert pa.CompressedInputStream(io.BytesIO(compress(b"abc", Compression.ZSTD)), "zstd").read() == b"abc"
    assert compress(b"abc", Compression.NONE) == b"abc"
    assert {compress(b"", kind) for kind in Compression} == {b""}
    assert compress(b"abc", Compression.GZIP) == compress(b"abc", Compression.GZIP)  # no time in it


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_bytes_tell(kind: Compression) -> None:
    assert told_by(compress(b"abc", kind)) is kind
    assert told_by(b"") is told_by(b"a,b\n") is told_by(compress(b"abc", kind)[:1]) is Compression.NONE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.7, 1.0])
def test_all_before_a_cut_is_read_and_then_it_is_told(kind: Compression, share: float) -> None:
    whole = compress(TEXT, kind)
    cut = whole[: int(len(whole) * share) - 1]
    ends = set()
    for size in (1000, 70_000, 10**7):
        stream = reader(cut, kind)
        found = bytearray()
        with pytest.raises(SourceError, match=r"x.gz: its compressed data is damaged or cut off") as told:
            read_on(stream, size, found)
        assert TEXT.startswith(bytes(found))
        assert f"{len(found):,} bytes" in str(told.value)
        assert len(found) > len(TEXT) * share - 150_000
        ends.add(len(found))
    assert len(ends) == 1  # however it is read


def test_a_cut_between_members_is_the_end_and_zeros_are_padding() -> None:
    one = compress(b"abc", Compression.GZIP)
    assert reader(one + bytes(1000) + one + bytes(7), Compression.GZIP).read(100) == b"abcabc"
    assert reader(bytes(10), Compression.GZIP).read(10) == b""


@pytest.mark.parametrize("tail", [b"garbage", b"\x1f\x8b", b"\0\0x"])
def test_what_is_no_member_after_one_is_told(tail: bytes) -> None:
    stream = reader(compress(b"abc", Compression.GZIP) + tail, Compression.GZIP)
    assert stream.read(100) == b"abc"
    assert stream.failure is not None
    with pytest.raises(SourceError, match="after 3 bytes"):
        stream.read(1)


def test_a_bomb_is_read_in_pieces() -> None:
    bomb = compress(bytes(50_000_000), Compression.GZIP)
    assert len(reader(bomb, Compression.GZIP).read(1000)) == 1000
