from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.errors import ParquetInvalid, SchemaMismatch, StreamError
from gristmill.streams.formats.parquet_footer import index_range, read_footer
from gristmill.streams.formats.parquet_partial import append_piece, joint_footer, scan_pieces
from gristmill.streams.formats.thrift_compact import decode
from gristmill.streams.formats.thrift_skip import skip
from gristmill.streams.formats.thrift_tree import STRUCT

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("word", pa.string()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
        ("at", pa.timestamp("us", "UTC")),
        ("tags", pa.list_(pa.string())),
        ("deep", pa.struct({"x": pa.float64(), "l": pa.list_(pa.list_(pa.int16()))})),
        ("map", pa.map_(pa.string(), pa.int32())),
        ("raw", pa.binary()),
        ("span", pa.duration("ms")),
    ]
)
DEEP = st.none() | st.lists(st.none() | st.lists(st.integers(0, 9)))


def list_of_pairs(entries: dict[str, int | None]) -> list[tuple[str, int | None]]:
    return list(entries.items())


ROW = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "word": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "kind": st.none() | st.sampled_from(["a", "b", "c"]),
        "at": st.none() | st.integers(0, 2**50),
        "tags": st.none() | st.lists(st.none() | st.sampled_from(["x", "yy"]), max_size=3),
        "deep": st.none() | st.fixed_dictionaries({"x": st.none() | st.floats(allow_nan=False), "l": DEEP}),
        "map": st.none()
        | st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 9)).map(list_of_pairs),
        "raw": st.none() | st.binary(max_size=10),
        "span": st.none() | st.integers(-(2**40), 2**40),
    }
)
TABLE = st.lists(ROW, max_size=12).map(lambda rows: pa.Table.from_pylist(rows, SCHEMA))
OPTIONS = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
        "row_group_size": st.integers(1, 8),
        "use_dictionary": st.booleans(),
        "write_page_index": st.booleans(),
        "write_statistics": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "version": st.sampled_from(["2.4", "2.6"]),
        "write_page_checksum": st.booleans(),
        "max_rows_per_page": st.integers(1, 4),
        "bloom_filter_options": st.none() | st.just({"id": {"ndv": 10}, "word": {"ndv": 10, "fpp": 0.1}}),
    }
)


def encoded(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def partial(*pieces: bytes) -> io.BytesIO:
    file = io.BytesIO()
    for piece in pieces:
        append_piece(file, piece)
    return file


def finished(file: io.BytesIO) -> bytes:
    length = file.tell()
    footer = b"".join(joint_footer(file, length))
    return file.getvalue()[:length] + footer


def ids(start: int, stop: int) -> pa.Table:
    words = pa.array([f"w{i % 50}" for i in range(start, stop)], pa.string())
    return pa.table({"id": pa.array(range(start, stop), pa.int64()), "word": words})


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(st.tuples(TABLE, OPTIONS), min_size=1, max_size=5))
def test_the_joint_file_is_the_tables_of_its_pieces_row_group_by_row_group(
    pieces: list[tuple[pa.Table, dict]],
) -> None:
    file = finished(partial(*(encoded(table, **options) for table, options in pieces)))
    joint = pq.ParquetFile(io.BytesIO(file), page_checksum_verification=True)
    assert joint.schema_arrow == SCHEMA
    groups = [joint.read_row_group(i) for i in range(joint.num_row_groups)]
    expected = [
        table.slice(start, options["row_group_size"])
        for table, options in pieces
        for start in range(0, table.num_rows, options["row_group_size"])
    ]
    assert [group.to_pylist() for group in groups] == [group.to_pylist() for group in expected]
    assert joint.read().to_pylist() == pa.concat_tables(table for table, _ in pieces).to_pylist()
    pages_are_where_the_index_says(file)


def pages_are_where_the_index_says(file: bytes) -> int:
    pages = 0
    footer = read_footer(file[-8 - int.from_bytes(file[-8:-4], "little") : -8])
    for group in footer.row_groups:
        for chunk in group.structs(1):
            if (span := index_range(chunk)) is None:
                continue
            for page in decode(file[span[0] : sum(span)]).structs(1):
                start = page.integer(1) or 0
                body = skip(file, start, STRUCT, 0)
                header = decode(file[start:body])
                assert header.integer(1) in {0, 3}  # a data page
                assert body - start + (header.integer(3) or 0) == page.integer(2)
                pages += 1
    return pages


def test_the_page_index_points_at_pages() -> None:
    pieces = [
        encoded(ids(i, i + 1000), write_page_index=True, max_rows_per_page=100) for i in (0, 1000, 2000)
    ]
    assert pages_are_where_the_index_says(finished(partial(*pieces))) == 3 * 2 * 10
    with pytest.raises((AssertionError, ParquetInvalid)):  # which is not so where the pieces were
        pages_are_where_the_index_says(b"some bytes before it" + pieces[0])


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_another_reader_reads_the_same(tmp_path: Path, compression: str) -> None:
    tables = [ids(0, 5000), ids(5000, 5000), ids(5000, 5003), ids(5003, 12_000)]
    options = {"compression": compression, "row_group_size": 2000, "write_page_index": True}
    pieces = [encoded(table, **options, bloom_filter_options={"id": {"ndv": 2000}}) for table in tables]
    path = tmp_path / "joint.parquet"
    path.write_bytes(finished(partial(*pieces)))
    with duckdb.connect() as duck:

        def rows(where: str) -> list[tuple[object, ...]]:
            everything = duck.from_parquet(str(path)).select("id, word")
            return (everything.filter(where) if where else everything).fetchall()

        assert rows("") == [(row["id"], row["word"]) for table in tables for row in table.to_pylist()]
        assert rows("id = 7777") == [(7777, "w27")]
        assert [row[0] for row in rows("id between 4990 and 5009")] == list(range(4990, 5010))
        probe = "select bloom_filter_excludes from parquet_bloom_probe(?, 'id', 7777)"
        assert [excludes for (excludes,) in duck.execute(probe, [str(path)]).fetchall()].count(False) == 1


def test_filters_skip_row_groups_and_find_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "joint.parquet"
    pieces = [
        encoded(ids(i, i + 500), row_group_size=100, write_page_index=True) for i in range(0, 3000, 500)
    ]
    path.write_bytes(finished(partial(*pieces)))
    [fragment] = ds.dataset(path).get_fragments()
    wanted = (ds.field("id") >= 1250) & (ds.field("id") < 1450)
    assert [group.id for group in fragment.subset(wanted).row_groups] == [12, 13, 14]
    assert fragment.to_table(filter=wanted) == ids(1250, 1450)
    metadata = pq.read_metadata(path)
    statistics = [metadata.row_group(i).column(0).statistics for i in range(metadata.num_row_groups)]
    assert [(one.min, one.max) for one in statistics] == [(i, i + 99) for i in range(0, 3000, 100)]


def test_a_file_cut_back_to_a_commit_goes_on_as_if_nothing_had_happened() -> None:
    pieces = [encoded(ids(i, i + 10)) for i in range(0, 50, 10)]
    whole = finished(partial(*pieces))
    file = partial(*pieces[:2])
    committed = file.tell()
    file.write(pieces[2][:100])  # torn by a kill
    file.truncate(committed)
    file.seek(committed)
    for piece in pieces[2:]:
        append_piece(file, piece)
    assert finished(file) == whole
    assert pq.read_table(io.BytesIO(whole)) == ids(0, 50)


def test_a_footer_half_written_is_written_again_the_same() -> None:
    file = partial(encoded(ids(0, 10), write_page_index=True), encoded(ids(10, 20), write_page_index=True))
    length = file.tell()
    footer = b"".join(joint_footer(file, length))
    for torn in (1, len(footer) // 2, len(footer)):
        again = io.BytesIO(file.getvalue()[:length] + footer[:torn])
        assert b"".join(joint_footer(again, length)) == footer


def test_the_footer_may_be_written_while_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet.partial"
    pieces = [encoded(ids(i, i + 10), write_page_index=True) for i in (0, 10, 20)]
    path.write_bytes(partial(*pieces).getvalue())
    length = path.stat().st_size
    with path.open("rb") as reading, path.open("ab") as writing:
        for part in joint_footer(reading, length):
            writing.write(part)
            writing.flush()
    assert pq.read_table(path) == ids(0, 30)


def test_a_file_is_scanned_up_to_a_commit_and_no_other_byte_is_one() -> None:
    pieces = [encoded(ids(0, 3)), encoded(ids(3, 3)), encoded(ids(3, 5))]
    file = io.BytesIO()
    commits = [0]
    for piece in pieces:
        commits.append(commits[-1] + append_piece(file, piece))
    assert file.tell() == commits[-1]
    for length in range(commits[-1] + 1):
        if length in commits:
            found = scan_pieces(file, length)
            assert [(piece.start, piece.size) for piece in found] == [
                (start, len(piece)) for start, piece in zip(commits, pieces, strict=False) if start < length
            ]
        else:
            with pytest.raises(ParquetInvalid, match="byte"):
                scan_pieces(file, length)


def test_a_file_shorter_than_its_commit_is_refused_wherever_it_was_cut() -> None:
    file = partial(encoded(ids(0, 3)), encoded(ids(3, 5)))
    whole, committed = file.getvalue(), file.tell()
    for end in range(committed):
        with pytest.raises(ParquetInvalid, match="ends at byte"):
            scan_pieces(io.BytesIO(whole[:end]), committed)


def test_damage_between_pages_is_found() -> None:
    pieces = [encoded(ids(0, 3), write_page_index=True), encoded(ids(3, 5), write_page_index=True)]
    file = partial(*pieces)
    whole, length = file.getvalue(), file.tell()
    for piece in scan_pieces(file, length):
        end = piece.start + piece.size
        for at in [*range(piece.start, piece.start + 4), *range(end - piece.footer_size, end + 16)]:
            damaged = bytearray(whole)
            damaged[at] ^= 0x10
            with pytest.raises(ParquetInvalid):
                list(joint_footer(io.BytesIO(damaged), length))


def test_what_is_no_piece_is_not_written() -> None:
    file = io.BytesIO()
    good = encoded(ids(0, 3))
    for piece in (b"", b"nonsense", good[:-1], good[1:], good[:-4] + b"PARE"):
        with pytest.raises(ParquetInvalid):
            append_piece(file, piece)
    assert file.getvalue() == b""


def test_pieces_of_other_columns_and_no_pieces_are_refused() -> None:
    with pytest.raises(SchemaMismatch, match="the type of 'a' is DOUBLE, in the first INT64"):
        finished(partial(encoded(pa.table({"a": [1]})), encoded(pa.table({"a": [1.0]}))))
    with pytest.raises(StreamError, match="Append a piece first"):
        list(joint_footer(io.BytesIO(), 0))


def test_really_encrypted_files_are_refused() -> None:
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return b"0" + key_bytes

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return wrapped_key[1:]

    factory = encryption.CryptoFactory(lambda _: Keys())
    for plaintext_footer in (False, True):
        config = encryption.EncryptionConfiguration(
            footer_key="f",
            column_keys={"c": ["id"]},
            plaintext_footer=plaintext_footer,
            double_wrapping=False,
        )
        properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
        piece = encoded(ids(0, 3), encryption_properties=properties)
        with pytest.raises(ParquetInvalid, match="encrypted"):
            finished(partial(encoded(ids(0, 3)), piece))
