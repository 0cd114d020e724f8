from __future__ import annotations

import asyncio
import gzip
import os
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gristmill.http.drain import Drain
from gristmill.http.jobs.file_body import FileBody
from gristmill.http.jobs.files import ServerFiles
from gristmill.http.problems import Refused
from gristmill.http.settings import HttpLimits
from gristmill.streams.formats.compression import Decompressor

TEXT = b"".join(b"%d,some text\n" % number for number in range(40_000))


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    found = ServerFiles()
    found.serve(tmp_path)
    return found


async def pieces(
    files: ServerFiles, *, limits: HttpLimits | None = None, drain: Drain | None = None
) -> AsyncIterator[bytes]:
    async with FileBody(files, "a.csv", limits or HttpLimits()) as body:
        async for piece in body.pieces(drain or Drain([])):
            yield piece


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def whole(files: ServerFiles, **options: HttpLimits) -> bytes:
    return b"".join([piece async for piece in pieces(files, **options)])


def zstd(data: bytes) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    return bytes(pyarrow.compress(data, codec="zstd", asbytes=True))


def plain(data: bytes) -> bytes:
    return data


PACKERS = [plain, gzip.compress, zstd]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("text", [b"", b"a", TEXT])
async def test_a_file_is_read_by_its_first_bytes_whatever_its_name(
    files: ServerFiles, tmp_path: Path, pack: object, text: bytes
) -> None:
    assert callable(pack)
    (tmp_path / "a.csv").write_bytes(pack(text))
    assert await whole(files) == text


async def test_members_of_gzip_may_follow_each_other(files: ServerFiles, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert await whole(files) == b"a\nb\n"


@pytest.mark.parametrize("pack", PACKERS[1:])
@pytest.mark.parametrize("cut", [5, 100])
async def test_packed_data_that_is_damaged_is_refused(
    files: ServerFiles, tmp_path: Path, pack: object, cut: int
) -> None:
    assert callable(pack)
    (tmp_path / "a.csv").write_bytes(pack(TEXT)[:-cut])
    with pytest.raises(Refused, match="malformed_encoding"):
        await whole(files)


@pytest.mark.parametrize("pack", PACKERS)
async def test_too_much_is_refused_packed_or_not(files: ServerFiles, tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    noise = random.Random(1).randbytes(5000).hex().encode()
    (tmp_path / "a.csv").write_bytes(pack(noise))
    with pytest.raises(Refused) as caught:
        await whole(files, limits=HttpLimits(job_bytes=9999))
    assert (caught.value.problem.code, caught.value.problem.limit_bytes) == ("content_too_large", 9999)
    assert await whole(files, limits=HttpLimits(job_bytes=10_000)) == noise


@pytest.mark.parametrize("pack", PACKERS[1:])
async def test_a_bomb_is_refused_before_it_is_unpacked(
    files: ServerFiles, tmp_path: Path, pack: object
) -> None:
    assert callable(pack)
    (tmp_path / "a.csv").write_bytes(pack(bytes(30 << 20)))
    size = 0

    async def read() -> None:
        nonlocal size
        async for piece in pieces(files):
            size += len(piece)

    with pytest.raises(Refused, match="content_too_large"):
        await read()
    assert size <= 4 << 20


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("change", ["grows", "is cut", "is written"])
async def test_a_file_that_changes_while_it_is_read_is_refused(
    files: ServerFiles, tmp_path: Path, pack: object, change: str
) -> None:
    assert callable(pack)
    path = tmp_path / "a.csv"
    path.write_bytes(pack(random.Random(2).randbytes(300_000)))
    reading = pieces(files)
    await anext(reading)
    size = path.stat().st_size
    if change == "grows":
        with path.open("ab") as file:
            file.write(pack(b"more"))
    elif change == "is cut":
        os.truncate(path, size - 9)
    else:
        os.utime(path, ns=(0, 1))
    with pytest.raises(Refused, match="file_changed") as caught:
        async for _ in reading:
            pass
    assert caught.value.problem.retryable is True


async def test_a_file_that_is_replaced_is_read_as_it_was(files: ServerFiles, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    reading = pieces(files)
    found = await anext(reading)
    (tmp_path / "new").write_bytes(b"other")
    (tmp_path / "new").replace(tmp_path / "a.csv")
    assert found + b"".join([piece async for piece in reading]) == TEXT


async def test_the_loop_reads_no_file(
    files: ServerFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(TEXT))
    threads = set()
    opened, read = os.open, Decompressor.read

    def seen_open(*args: object, **options: object) -> int:
        threads.add(threading.current_thread())
        return opened(*args, **options)  # type: ignore[arg-type]

    def seen_read(of: Decompressor, size: int) -> bytes:
        threads.add(threading.current_thread())
        return read(of, size)

    monkeypatch.setattr(os, "open", seen_open)
    monkeypatch.setattr(Decompressor, "read", seen_read)
    await whole(files)
    assert threads
    assert threading.current_thread() not in threads


async def test_a_server_that_drains_stops_reading(files: ServerFiles, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    drain = Drain([])
    reading = pieces(files, drain=drain)
    await anext(reading)
    drain.begin()
    with pytest.raises(Refused, match="closed"):
        await anext(reading)


async def test_whoever_stops_waiting_leaves_no_descriptor(
    files: ServerFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    is_opening, may_open = threading.Event(), threading.Event()
    opened = ServerFiles.open

    def slow_open(of: ServerFiles, path: str) -> int:
        is_opening.set()
        may_open.wait()
        return opened(of, path)

    before = descriptors()
    monkeypatch.setattr(ServerFiles, "open", slow_open)
    task = asyncio.create_task(whole(files))
    await asyncio.to_thread(is_opening.wait)
    task.cancel()
    may_open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert descriptors() == before


async def test_without_pyarrow_zstd_is_refused(
    files: ServerFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys  # noqa: PLC0415 - of this test alone

    (tmp_path / "a.csv").write_bytes(zstd(b"a"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Refused, match="unsupported_encoding"):
        await whole(files)
