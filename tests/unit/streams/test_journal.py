from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Checkpoint, Identity, SourceMark
from gristmill.streams.chunk import Counts
from gristmill.streams.journal import Journal

IDENTITY = Identity(version=1, sources=(SourceMark(name="a"),), handler="m:h", options={})
COMMITS = [Checkpoint(next=n, out=10 * n, counts=Counts(read=n)) for n in range(1, 4)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j"


@pytest.fixture
def text(path: Path) -> bytes:
    """Return the bytes of a journal with some commits."""
    journal = Journal(path)
    assert journal.read() is None
    journal.begin(IDENTITY)
    for each in COMMITS:
        journal.commit(each)
    journal.close()
    return path.read_bytes()


def read(path: Path, content: bytes) -> tuple[Identity, Checkpoint | None] | None:
    path.write_bytes(content)
    journal = Journal(path)
    try:
        return journal.read()
    finally:
        journal.close()


def told_by(whole: int) -> tuple[Identity, Checkpoint | None] | None:
    """Return what so many whole lines say."""
    return None if not whole else (IDENTITY, None if whole == 1 else COMMITS[whole - 2])


def test_cut_at_any_byte_it_says_what_its_whole_lines_say(path: Path, text: bytes) -> None:
    for length in range(len(text) + 1):
        kept = text[:length]
        assert read(path, kept) == told_by(kept.count(b"\n"))
        assert path.read_bytes() == kept[: kept.rfind(b"\n") + 1]  # the torn end is gone


def test_it_goes_on_after_a_torn_line(path: Path, text: bytes) -> None:
    path.write_bytes(text[:-5])
    journal = Journal(path)
    journal.read()
    journal.commit(COMMITS[2])
    journal.close()
    assert path.read_bytes() == text


def test_a_flipped_bit_ends_what_it_says_there(path: Path, text: bytes) -> None:
    first = text.index(b"\n") + 1
    for place in range(len(text)):
        broken = bytearray(text)
        broken[place] ^= 1 << place % 8
        if place < first:
            with pytest.raises(ConfigurationError, match="no journal of Gristmill"):
                read(path, bytes(broken))
            assert path.read_bytes() == broken  # and is left as it is
        else:
            assert read(path, bytes(broken)) == told_by(text[:place].count(b"\n"))


@pytest.mark.parametrize(
    "foreign", [b"hello", b"a,b\n1,2\n", b"\0", b"{}\n", b"0123456789", b"01234567 x", b"x" * 70_000]
)
def test_the_file_of_somebody_else_is_refused_and_kept(path: Path, foreign: bytes) -> None:
    for overwrite in (False, True):
        path.write_bytes(foreign)
        journal = Journal(path)
        with pytest.raises(ConfigurationError, match="move it away"):
            journal.read(overwrite=overwrite)
        journal.close()
        assert path.read_bytes() == foreign


def test_a_long_first_line_may_be_torn_too(path: Path) -> None:
    journal = Journal(path)
    journal.read()
    many = tuple(SourceMark(name=f"folder/{n}.csv", digest="0" * 32) for n in range(2000))
    journal.begin(Identity(version=1, sources=many, handler="m:h", options={}))
    journal.close()
    content = path.read_bytes()
    assert len(content) > 100_000
    assert read(path, content[:90_000]) is None


def test_a_journal_of_another_version_says_to_overwrite_and_that_helps(path: Path, text: bytes) -> None:
    from zlib import crc32  # noqa: PLC0415 - only here

    body = b'{"version":99}'
    path.write_bytes(b"%08x %b\n" % (crc32(body), body))
    journal = Journal(path)
    with pytest.raises(ConfigurationError, match="use --overwrite"):
        journal.read()
    journal.close()
    assert journal.read(overwrite=True) is None
    journal.begin(IDENTITY)
    journal.close()
    assert journal.read() == (IDENTITY, None)
    journal.close()


def test_another_process_cannot_open_it_until_it_is_closed(path: Path, text: bytes) -> None:
    script = (
        "import sys; from pathlib import Path; from gristmill.streams.journal import Journal\n"
        "try: Journal(Path(sys.argv[1])).read()\n"
        "except Exception as error: sys.exit(str(error))"
    )
    journal = Journal(path)
    journal.read()
    other = [sys.executable, "-c", script, str(path)]
    refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "is in use: the same run is under way in another process" in refused.stderr
    assert path.read_bytes() == text
    journal.close()
    assert subprocess.run(other, check=False).returncode == 0


def test_begin_forgets_what_was_before(path: Path, text: bytes) -> None:
    journal = Journal(path)
    journal.read()
    journal.begin(IDENTITY)
    journal.close()
    assert path.read_bytes() == text[: text.index(b"\n") + 1]
    journal.remove()
    assert not path.exists()
