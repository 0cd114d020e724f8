"""A chunk of CSV becomes the same bytes, whether its records are handed on as they stand or written anew."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill import batch
from gristmill.batching.executors.function_ref import refer
from gristmill.errors import SourceError
from gristmill.streams.chunk import Chunk, Task
from gristmill.streams.formats.column_csv import CsvColumnRecipe
from gristmill.streams.formats.column_types import ColumnType
from gristmill.streams.formats.compression import Compression
from gristmill.streams.formats.csv_form import CsvForm, CsvRecipe
from gristmill.streams.formats.text_output import TextOutput
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head
from gristmill.streams.worker.columns import ColumnWork

ANY = st.text(st.sampled_from('ab,;"\n\r é'), max_size=4)


@dataclass(frozen=True)
class Watched:
    """A recipe of readers that note whether a chunk's records were asked for and found; or have none."""

    inner: Any
    found: list[bool]
    has_lines: bool = True

    def columns(self):
        reader = self.inner.columns()
        return WatchedReader(reader, self)


@dataclass(frozen=True)
class WatchedReader:
    reader: Any
    recipe: Watched

    def read(self, chunk):
        columns = self.reader.read(chunk)
        lines = columns.lines
        if lines is None or not self.recipe.has_lines:
            return replace(columns, lines=None)

        def noted():
            self.recipe.found.append((found := lines()) is not None)
            return found

        return replace(columns, lines=noted)

    def original(self, place, item):
        return self.reader.original(place, item)


class Marker:
    def running(self, first, stop):
        pass

    def idle(self):
        pass


@batch
def same(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows


@batch
def longer(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Two columns more: one of numbers, one that needs quotes now and then, or is null."""
    sizes = pc.utf8_length(rows["b"])
    odd = pc.if_else(pc.equal(sizes, 2), None, pc.binary_join_element_wise(rows["b"], ';"', ","))
    return rows.append_column("size", pc.divide(pc.cast(sizes, pa.float64()), 2.0)).append_column("odd", odd)


@batch
def changed(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.set_column(1, "b", pc.utf8_upper(rows["b"]))


@batch
def turned(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.select(["b", "n"])


@batch
def wider(rows: pa.RecordBatch) -> pa.RecordBatch:
    """A new column comes first."""
    return rows.add_column(0, "size", pc.utf8_length(rows["b"]))


@batch
def swapped(rows: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch([rows["b"], rows["b"]], names=["n", "b"])


@batch
def picky(rows: pa.RecordBatch) -> pa.RecordBatch:
    error = pc.if_else(pc.equal(rows["b"], "a"), "no a", None)
    return rows.append_column("_error", error)


def run(handler, text, *, lines=True, output=None, form=None, types=None, size=None):
    """What becomes of *text*, rows of n and b; and whether records were asked for and found."""
    recipe = CsvRecipe(
        form=form or CsvForm(),
        heads=(Head(length=0, columns=("n", "b")),),
        files=(Readable(path="t.csv", size=0, changed_ns=0),),
    )
    found = []
    work = ColumnWork(
        handler=refer(handler),
        reader=Watched(CsvColumnRecipe(recipe, types or {}), found, lines),
        encoder=(output or TextOutput(delimiter=",")).recipe(),
        sources=("t.csv",),
        batch_size=size,
    )
    runner = work.start()
    try:
        chunk = Chunk(number=0, source=0, start=0, end=len(text), body=text)
        result = runner.run(Task(chunk=chunk), Marker())
    finally:
        runner.close()
    return bytes(result.body), bytes(result.dead), result.counts, found


def written(rows, end="\n"):
    def cell(text):
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text

    return "".join(f"{number},{cell(text)}{end}" for number, text in rows).encode()


ROWS = st.lists(st.tuples(st.integers(-3, 120), ANY), max_size=12)
INT = {"n": ColumnType("int64", is_inferred=True)}


@given(
    rows=ROWS,
    handler=st.sampled_from([same, longer, changed, turned, wider, swapped, picky]),
    end=st.sampled_from(["\n", "\r\n"]),
    types=st.sampled_from([{}, INT]),
    size=st.sampled_from([None, 3]),
)
def test_the_output_is_the_same(rows, handler, end, types, size):
    text = written(rows, end)

    assert (
        run(handler, text, types=types, size=size)[:3]
        == run(handler, text, types=types, size=size, lines=False)[:3]
    )


@given(text=st.text(st.sampled_from('1a,"\n\r'), max_size=24).map(lambda text: ("1,b\n" + text).encode()))
def test_the_output_of_hostile_text_is_the_same(text):
    def outcome(**options):
        try:
            return run(longer, text, types=INT, **options)[:3]
        except SourceError as error:
            return str(error)

    assert outcome() == outcome(lines=False)


PLAIN = b'1,x\n02,"a,""b"\n3,\n4,"\n"\n'


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("types", [{}, {"n": ColumnType("int64")}])
def test_records_that_go_on_are_handed_on_as_they_stand(types, size):
    body, _, counts, found = run(longer, PLAIN, types=types, size=size)

    assert body == (b'1,x,0.5,"x,;"""\n02,"a,""b",2.0,"a,""b,;"""\n3,,0.0,",;"""\n4,"\n",0.5,"\n,;"""\n')
    assert counts.succeeded == 4
    assert found == [True]
    assert run(same, PLAIN, types=types, size=size)[::3] == (PLAIN, [True])
    assert run(same, PLAIN[:-1], types=types, size=size)[::3] == (PLAIN, [True])


@pytest.mark.parametrize("handler", [changed, turned, wider, swapped])
def test_records_are_not_looked_for_where_results_do_not_begin_with_them(handler):
    assert run(handler, PLAIN)[3] == []


@pytest.mark.parametrize("text", [b'1,"x"\n', b"1,x\r\n2,y\r\n", b'"1",x\n', b'1,""\n', b"1,x\r2,y\n"])
def test_records_that_would_be_written_otherwise_are_written_anew(text):
    body, _, _, found = run(same, text)

    assert found == [False]
    assert body == text.replace(b'"', b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def test_a_row_that_fails_is_left_out():
    body, dead, counts, _ = run(picky, b"1,a\n2,b\n")

    assert (body, counts.failed) == (b"2,b\n", 1)
    assert b"no a" in dead
    assert run(same, b"1,a\nx,b\n", types=INT)[0] == b"1,a\n"


def test_blank_lines_are_left_out():
    assert run(same, b"\n1,a\n\n2,\n")[0] == b"1,a\n2,\n"


def test_another_delimiter_needs_other_quotes():
    assert run(same, b'1,";"\n2,";,"\n', output=TextOutput(delimiter=";"))[0] == b'1;";"\n2;";,"\n'
    assert run(same, b"1,;\n", output=TextOutput(delimiter=";"))[0] == b'1;";"\n'


def test_columns_that_the_output_chooses_are_written():
    assert run(same, PLAIN[:4], output=TextOutput(delimiter=",", columns=("b", "n")))[0] == b"x,1\n"
    assert run(same, PLAIN[:4], form=CsvForm(select={"b": "n"}))[::3] == (b"x\n", [False])


def test_columns_in_another_order_are_written_in_that():
    assert run(same, b"1,x\n", form=CsvForm(select={"b": "b", "n": "n"}))[::3] == (b"x,1\n", [False])


def test_lines_of_json_are_made_of_records():
    output = TextOutput(delimiter=None, compression=Compression.ZSTD)
    body = run(same, b"1,x\n", output=output)[0]

    assert pa.CompressedInputStream(pa.BufferReader(body), "zstd").read() == b'{"n":"1","b":"x"}\n'


def test_a_compressed_output_has_the_same_lines():
    output = TextOutput(delimiter=",", compression=Compression.ZSTD)
    body, _, _, found = run(same, PLAIN, output=output)

    assert pa.CompressedInputStream(pa.BufferReader(body), "zstd").read() == PLAIN
    assert found == [True]


def test_text_of_another_encoding_is_written_in_utf_8():
    text = '1,éééééééé\n2,"ü,"\n'
    body = run(longer, text.encode("latin-1"), form=CsvForm(encoding="latin-1"))[0]

    assert body == '1,éééééééé,4.0,"éééééééé,;"""\n2,"ü,",1.0,\n'.encode()


def test_bytes_that_are_no_utf_8_fail_their_row():
    body, _, counts, found = run(same, b"1,\xff\n2,b\n")

    assert (body, counts.failed, found) == (b"2,b\n", 1, [])
