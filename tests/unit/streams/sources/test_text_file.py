from __future__ import annotations

import gzip
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.errors import SourceChanged, SourceError
from gristmill.streams.checkpoint import Checkpoint, Progress
from gristmill.streams.chunk import Chunk, Counts
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.ndjson_form import LineForm
from gristmill.streams.sources.text_file import TextFiles

TEXTS = ['id,text\n1,"a\n""\r\n"\n2,b\n\n3,c', "id,text\n", "", "text,id\nx,4\n" * 1]


def files(folder: Path, texts: list[str], *, zipped: bool = False) -> list[str]:
    paths = []
    for index, text in enumerate(texts):
        path = folder / f"{index}.csv"
        path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
        paths.append(str(path))
    return paths


def rows_of(source: TextFiles, chunks: list[Chunk], kind: Any = Any) -> list[Any]:
    reader = pickle.loads(pickle.dumps(source.recipe())).rows(kind)  # noqa: S301 - as workers get it
    return [row for chunk in chunks for block in reader.read(chunk, 10) for row in block.items]


WANTED = [
    {"id": "1", "text": 'a\n"\r\n'},
    {"id": "2", "text": "b"},
    {"id": "3", "text": "c"},
    {"text": "x", "id": "4"},
]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_chunks_cover_every_input_and_give_its_rows(tmp_path: Path, *, zipped: bool, size: int) -> None:
    source = TextFiles(files(tmp_path, TEXTS, zipped=zipped), CsvForm())
    marks = source.open()
    chunks = list(source.plan(Checkpoint(), lambda: size))
    assert [mark.size for mark in marks] == [os.path.getsize(path) for path in source.names]  # noqa: PTH202
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert rows_of(source, chunks) == WANTED
    for index, text in enumerate(TEXTS):
        own = [chunk for chunk in chunks if chunk.source == index]
        assert [chunk.is_last for chunk in own] == [False] * (len(own) - 1) + [True]
        assert [chunk.start for chunk in own] == [0, *(chunk.end for chunk in own[:-1])]
        assert own[-1].end == len(text.encode())
        assert (own[0].body is None) != zipped
    assert source.total == sum(mark.size or 0 for mark in marks)
    if not zipped:
        assert sum(chunk.weight for chunk in chunks) == source.total
    source.close()


@given(st.data(), st.integers(0, 1), st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_goes_on_with_what_is_left(
    tmp_path: Path, data: st.DataObject, zipped: int, size: int, other: int
) -> None:
    source = TextFiles(files(tmp_path, TEXTS, zipped=bool(zipped)), CsvForm())
    source.open()
    chunks = list(source.plan(Checkpoint(), lambda: size))
    done = data.draw(st.sets(st.sampled_from(range(len(chunks)))))
    progress = Progress(Checkpoint())
    for index in done:
        progress.add(chunks[index], Counts(), {})
    left = list(source.plan(progress.checkpoint(out=0, dead=0), lambda: other))
    for chunk in left:
        progress.add(chunk, Counts(), {})
    found = rows_of(source, [chunks[index] for index in done]) + rows_of(source, left)
    assert sorted(map(str, found)) == sorted(map(str, WANTED))
    end = progress.checkpoint(out=0, dead=0)
    assert (end.source, end.beyond) == (len(TEXTS), ())
    assert list(source.plan(end, lambda: other)) == []
    source.close()


class Watched(CsvForm):
    """Keeps the sizes of the windows that are cut as a whole."""

    def cut(self, window: bytes, *, is_last: bool) -> int | None:
        WINDOWS.append(len(window))
        return super().cut(window, is_last=is_last)


WINDOWS: list[int] = []


@pytest.mark.parametrize("note", ['"a\n{}, ""b"""', "{}"])
def test_large_chunks_are_cut_by_their_ends_where_these_tell(tmp_path: Path, note: str) -> None:
    text = "id,note\n" + "".join(f"{number},{note.format(number)}\n" for number in range(40_000))
    (path := tmp_path / "in.csv").write_text(text)
    data = path.read_bytes()
    source = TextFiles([str(path)], Watched())
    source.open()
    WINDOWS.clear()
    size = 150_000
    chunks = list(source.plan(Checkpoint(), lambda: size))

    assert len(chunks) > 3
    assert [chunk.start for chunk in chunks[1:]] == [chunk.end for chunk in chunks[:-1]]
    for chunk in chunks[:-1]:
        window = data[chunk.start : chunk.start + size]
        assert chunk.end - chunk.start == CsvForm().cut(window, is_last=False)
    assert bool(WINDOWS) == ('"' not in note)
    assert [row["id"] for row in rows_of(source, chunks)] == [str(number) for number in range(40_000)]


def test_a_chunk_that_cannot_be_read_is_shortened_to_the_records_before(tmp_path: Path) -> None:
    text = "id,note\n" + '1,"a, b"\n' * 20_000 + '2,"never closed\n' + '3,"a, b"\n' * 20_000
    (path := tmp_path / "in.csv").write_text(text)
    source = TextFiles([str(path)], CsvForm())
    source.open()
    first, second, *_, last = source.plan(Checkpoint(), lambda: 150_000)

    assert source.shortened(first) is None
    found = source.shortened(second)
    assert found is not None
    assert (found.number, found.start, found.end) == (1, second.start, text.index("2,"))
    assert found.weight == found.end - found.start < second.end - second.start
    assert source.shortened(found) is None
    assert source.shortened(last) is None


def test_large_chunks_of_lines_are_cut_by_their_ends(tmp_path: Path) -> None:
    lines = [b'{"id":%d}\n' % number for number in range(40_000)]
    (path := tmp_path / "in.ndjson").write_bytes(b"".join(lines))
    source = TextFiles([str(path)], LineForm())
    source.open()
    chunks = list(source.plan(Checkpoint(), lambda: 150_000))

    assert len(chunks) > 3
    assert [row["id"] for row in rows_of(source, chunks)] == list(range(40_000))


def test_it_can_be_opened_again(tmp_path: Path) -> None:
    source = TextFiles(files(tmp_path, TEXTS), CsvForm())
    first = source.open()
    total = source.total
    assert source.open() == first
    assert source.total == total
    assert source.columns == ["id", "text"]


def change_length(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"5,d\n")


def change_time(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [change_length, change_time])
@pytest.mark.parametrize("zipped", [False, True])
def test_an_input_that_was_changed_is_not_read(
    tmp_path: Path, change: Callable[[Path], None], *, zipped: bool
) -> None:
    (name,) = files(tmp_path, TEXTS[:1], zipped=zipped)
    source = TextFiles([name], CsvForm())
    source.open()
    chunks = list(source.plan(Checkpoint(), lambda: 1000))
    change(Path(name))
    read = (
        (lambda: list(source.plan(Checkpoint(), lambda: 10))) if zipped else (lambda: rows_of(source, chunks))
    )
    with pytest.raises(SourceChanged, match="was changed while it was read"):
        read()


def test_an_input_that_was_cut_is_not_planned(tmp_path: Path) -> None:
    (name,) = files(tmp_path, ["id\n" + "1\n" * 100])
    source = TextFiles([name], CsvForm())
    source.open()
    os.truncate(name, 50)
    with pytest.raises(SourceChanged, match="somebody has cut it"):
        list(source.plan(Checkpoint(), lambda: 20))


def test_a_header_without_an_end_is_told(tmp_path: Path) -> None:
    (name,) = files(tmp_path, ['"id' + "x" * 300_000])
    with pytest.raises(SourceError, match="longer than 1,000 bytes"):
        TextFiles([name], CsvForm(), max_record=1000).open()


def test_weight_is_what_is_done_of_the_files(tmp_path: Path) -> None:
    source = TextFiles(files(tmp_path, ["id\n1\n2\n", "id\n3\n"]), CsvForm())
    source.open()
    assert source.weight(Checkpoint()) == 0
    assert source.weight(Checkpoint(offset=5)) == 5
    assert source.weight(Checkpoint(source=1, offset=3)) == 10
    assert source.weight(Checkpoint(source=2)) == source.total == 12


@pytest.mark.parametrize("size", [1, 5, 100])
def test_standard_input_is_read_once_and_known_at_its_end(size: int) -> None:
    text = b'{"a":1}\n\n{"a":2}\n{"a":3}'
    source = TextFiles(["-"], LineForm(), standard_input=io.BufferedReader(io.BytesIO(text)))
    assert source.open()[0].size is None
    assert (source.total, source.names) == (None, ["standard input"])
    chunks = list(source.plan(Checkpoint(), lambda: size))
    assert b"".join(chunk.body or b"" for chunk in chunks) == text
    assert [row["a"] for row in rows_of(source, chunks)] == [1, 2, 3]
    source.close()


def test_a_resumed_standard_input_drops_what_is_done_and_must_be_as_long() -> None:
    text = b'{"a":1}\n{"a":2}\n'
    for content, good in ((text, True), (text[:3], False)):
        source = TextFiles(["-"], LineForm(), standard_input=io.BufferedReader(io.BytesIO(content)))
        source.open()
        plan = source.plan(Checkpoint(offset=8, next=4), lambda: 100)
        if good:
            assert [(each.number, each.body) for each in plan] == [(4, b'{"a":2}\n')]
        else:
            with pytest.raises(SourceChanged, match="ended after 3 bytes of text"):
                list(plan)
        source.close()


@pytest.mark.parametrize("missing", [True, False])
def test_what_cannot_be_read_is_told(tmp_path: Path, *, missing: bool) -> None:
    path = tmp_path / "none.csv" if missing else tmp_path
    told = "No such file" if missing else "is a folder; give files, or a pattern"
    with pytest.raises(SourceError, match=told):
        TextFiles([str(path)], CsvForm()).open()
