"""Files that are compressed, cut off, changed, taken, or the same as another one."""

from __future__ import annotations

import fcntl
import gzip
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

ROWS = "id,text\n" + "".join(f'{number},"some\ntext {number}"\n' for number in range(1, 3001))
PACE = ("--chunk-bytes", "2000")


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def halves(compress: Any) -> bytes:
    middle = len(ROWS) // 2
    return compress(ROWS[:middle].encode()) + compress(ROWS[middle:].encode())


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("members", [1, 2])
def test_compression_is_told_by_the_content_and_not_by_the_name(
    mill: Any, compress: Any, members: int
) -> None:
    mill.write("in.csv", compress(ROWS.encode()) if members == 1 else halves(compress))
    mill.go("same", "in.csv", "-o", "out.csv", *PACE)
    assert len(mill.read()) == 3000
    mill.write("plain.csv.gz", ROWS)
    mill.go("same", "plain.csv.gz", "-o", "plain.csv", *PACE)
    assert mill.read("plain.csv") == mill.read()


def test_padding_between_and_after_members_is_passed_over(mill: Any) -> None:
    mill.write("in.csv.gz", halves(lambda data: gzip.compress(data) + bytes(600)))
    mill.go("same", "in.csv.gz", "-o", "out.csv")
    assert len(mill.read()) == 3000


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize(("share", "workers"), [(0.3, 0), (0.9, 0), (0.9, 2), (1.0, 0)])
def test_all_whole_records_of_a_truncated_file_are_safe(
    mill: Any, compress: Any, share: float, workers: int
) -> None:
    text = "id,text\n" + "".join(
        f"{number},{random.Random(number).random()}\n" for number in range(1, 20_001)
    )
    whole = compress(text.encode())
    mill.write("in.csv", whole[: int(len(whole) * share) - 2])
    words = ("same", "in.csv", "-o", "out.csv")
    first = (mill.end if workers else mill.go)(*words, "--chunk-bytes", "20000", code=65)
    assert "damaged or cut off after" in first
    assert "--overwrite" in first
    at = int(first.split("cut off after ")[1].split(" ")[0].replace(",", ""))
    safe = (mill.folder / "out.csv.partial").read_text()
    assert safe == text[: text.rindex("\n", 0, at) + 1]
    assert not (mill.folder / "out.csv").exists()
    assert mill.go(*words, *PACE, code=65) == first  # and says the same
    assert (mill.folder / "out.csv.partial").read_text() == safe
    mill.write("in.csv", whole)
    assert "in.csv has changed since" in mill.go(*words, code=2)
    mill.go(*words, "--overwrite")
    assert (mill.folder / "out.csv").read_text() == text


def test_damage_in_the_middle_of_gzip_is_told(mill: Any) -> None:
    data = bytearray(gzip.compress(random.Random(1).randbytes(3000).hex().join(("id\n", "\n")).encode()))
    data[len(data) // 2] ^= 0xFF
    mill.write("in.csv", bytes(data))
    assert "in.csv: its compressed data is damaged" in mill.go("same", "in.csv", "-o", "out.csv", code=65)


@pytest.mark.parametrize("name", ["out.csv.gz", "out.csv.zst"])
def test_compressed_outputs_are_whole_streams(mill: Any, name: str) -> None:
    mill.write("in.csv", ROWS)
    mill.go("same", "in.csv", "-o", name, *PACE)
    mill.go("same", name, "-o", "again.csv")
    assert (mill.folder / "again.csv").read_bytes() == ROWS.encode()


@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz"])
def test_a_source_that_changes_while_it_is_read_stops_the_run(mill: Any, name: str) -> None:
    text = ("id,text\n" + "1,aaaaaaaaaa\n" * 400_000).encode()
    path = mill.write(name, gzip.compress(text, 0) if name.endswith("gz") else text)
    process = mill.start("gated", name, "-o", "out.csv", "--workers", "1", "--batch-size", "100000")
    wait_for(mill.folder / "begun-1")
    with path.open("ab") as file:
        file.write(b"x")
    (mill.folder / "gate").touch()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 65, said
    assert "was changed while it was read" in said.decode()
    again = mill.go("gated", name, "-o", "out.csv", code=2)
    assert f"{name} has changed since (it had" in again


def wait_for(path: Path) -> None:
    while not path.exists():
        os.sched_yield()


def test_a_changed_source_is_refused_with_what_changed(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.go("odd", "in.csv", "-o", "out.csv", "--max-failures", "100", *PACE, code=75)
    path = mill.write("in.csv", ROWS.replace("text 7", "text 8", 1))
    said = mill.go("odd", "in.csv", "-o", "out.csv", code=2)
    assert "in.csv has changed since (its content is another)" in said
    assert "--overwrite" in said
    path.write_text(ROWS + "1")
    assert f"it had {len(ROWS):,} bytes, and has {len(ROWS) + 1:,}" in mill.go(
        "odd", "in.csv", "-o", "out.csv", code=2
    )


def test_another_handler_input_or_option_is_refused_and_named(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.write("b.csv", ROWS)
    mill.go("odd", "in.csv", "-o", "out.csv", "--max-failures", "100", *PACE, code=75)
    for words, told in (
        (("same", "in.csv"), "the handler was mill:odd, and is now mill:same"),
        (("odd", "b.csv"), "the inputs were in.csv, and are now b.csv"),
        (("odd", "in.csv", "b.csv"), "are now in.csv, b.csv"),
        (("odd", "in.csv", "--unordered"), "ordered was True, and is now False"),
        (("odd", "in.csv", "--limit", "5"), "limit was None, and is now 5"),
        (("odd", "in.csv", "--pad"), "short rows was False, and is now True"),
        (("odd", "in.csv", "--columns", "id"), "output columns was None, and is now ['id']"),
    ):
        assert told in mill.go(*words, "-o", "out.csv", code=2)
    mill.go("odd", "in.csv", "-o", "out.csv", "--batch-size", "7", "--commit-seconds", "0", code=3)
    assert len(mill.read()) == 1500


def test_a_run_that_wrote_nothing_binds_nobody(mill: Any) -> None:
    mill.write("in.csv", 'id,text\n1,a"b\n')
    mill.go("same", "in.csv", "-o", "out.csv", code=65)
    mill.write("in.csv", "id,text\n1,ab\n")
    mill.go("odd", "in.csv", "-o", "out.csv", "--pad")
    assert mill.read() == [{"id": "1", "text": "ab"}]


def test_a_finished_run_says_so_and_does_nothing(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.write("none.csv", "")
    mill.go("odd", "in.csv", "-o", "out.csv", code=3)
    before = {each: each.stat().st_mtime_ns for each in mill.folder.iterdir() if each.is_file()}
    said = mill.go("odd", "in.csv", "-o", "out.csv", code=3)
    assert "out.csv is done already; use --overwrite" in said
    assert "3,000 rows read: 1,500 written to out.csv, 1,500 failed" in said
    assert {each: each.stat().st_mtime_ns for each in before} == before
    (mill.folder / "out.csv.dead.ndjson").unlink()  # it was run, and is of no use any more
    assert "done already" in mill.go("odd", "in.csv", "-o", "out.csv", code=3)
    mill.go("odd", "none.csv", "-o", "empty.csv")
    assert "done already" in mill.go("odd", "none.csv", "-o", "empty.csv")


def test_an_output_that_was_taken_away_is_made_anew(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.go("same", "in.csv", "-o", "out.csv")
    (mill.folder / "out.csv").unlink()
    mill.go("same", "in.csv", "-o", "out.csv")
    assert (mill.folder / "out.csv").read_text() == ROWS


def test_what_is_there_is_replaced_only_if_that_is_said(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.write("out.csv", "mine")
    assert "out.csv is there already; use --overwrite" in mill.go("same", "in.csv", "-o", "out.csv", code=2)
    assert sorted(each.name for each in mill.folder.iterdir() if each.is_file()) == ["in.csv", "out.csv"]
    assert (mill.folder / "out.csv").read_text() == "mine"
    mill.go("same", "in.csv", "-o", "out.csv", "--overwrite")
    assert (mill.folder / "out.csv").read_text() == ROWS


def test_dead_letters_of_another_run_are_never_lost(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.go("odd", "in.csv", "-o", "a.csv", "--dead-letter", "all.ndjson", code=3)
    before = (mill.folder / "all.ndjson").read_bytes()
    for _ in range(2):
        said = mill.go("odd", "in.csv", "-o", "b.csv", "--dead-letter", "all.ndjson", code=2)
        assert "all.ndjson is there already, and not of this run" in said
    assert (mill.folder / "all.ndjson").read_bytes() == before


@pytest.mark.parametrize("name", ["in.csv", "./in.csv", "link.csv", "hard.csv", "out.csv", "out.csv.journal"])
def test_dead_letters_are_never_written_over_an_input_or_the_output(mill: Any, name: str) -> None:
    path = mill.write("in.csv", ROWS)
    (mill.folder / "link.csv").symlink_to(path)
    (mill.folder / "hard.csv").hardlink_to(path)
    said = mill.go("odd", "in.csv", "-o", "out.csv", "--dead-letter", name, "--overwrite", code=2)
    assert "rows that fail would be written to" in said
    assert path.read_text() == ROWS


def test_letters_that_are_run_again_are_not_written_over_themselves(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.go("odd", "in.csv", "-o", "out.csv", code=3)
    before = (mill.folder / "out.csv.dead.ndjson").read_bytes()
    said = mill.go("odd", "out.csv.dead.ndjson", "-o", "out.csv", "--overwrite", code=2)
    assert "which is an input" in said
    assert (mill.folder / "out.csv.dead.ndjson").read_bytes() == before


@pytest.mark.parametrize("name", ["in.csv", "./in.csv", "link.csv", "hard.csv"])
def test_an_output_that_is_an_input_is_refused(mill: Any, name: str) -> None:
    path = mill.write("in.csv", ROWS)
    (mill.folder / "link.csv").symlink_to(path)
    (mill.folder / "hard.csv").hardlink_to(path)
    assert "is an input too" in mill.go("same", "in.csv", "-o", name, "--overwrite", code=2)
    assert "is an input too" in mill.go("same", "in*.csv", "-o", name, "--overwrite", code=2)
    assert path.read_text() == ROWS


def test_a_second_run_of_one_output_is_refused_while_the_first_is_under_way(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    process = mill.start("gated", "in.csv", "-o", "out.csv", "--workers", "1", *PACE)
    wait_for(mill.folder / "begun-1")
    for more in ((), ("--overwrite",)):
        assert "out.csv.journal is in use" in mill.go("gated", "in.csv", "-o", "out.csv", *more, code=2)
    (mill.folder / "gate").touch()
    process.communicate(timeout=240)
    assert process.returncode == 0
    assert (mill.folder / "out.csv").read_text() == ROWS


def test_a_dead_letter_file_in_use_is_refused(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    with (mill.folder / "all.ndjson").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = mill.go("odd", "in.csv", "-o", "out.csv", "--dead-letter", "all.ndjson", code=2)
    assert "all.ndjson is in use by another run" in said


def test_a_foreign_journal_is_refused_and_kept(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    for foreign in ("hello", "a,b\n1,2\n"):
        path = mill.write("out.csv.journal", foreign)
        for more in ((), ("--overwrite",)):
            said = mill.go("same", "in.csv", "-o", "out.csv", *more, code=2)
            assert "out.csv.journal is no journal of Gristmill" in said
        assert path.read_text() == foreign


def test_inputs_are_named_by_patterns_in_the_order_of_names(mill: Any) -> None:
    (mill.folder / "deep" / "er").mkdir(parents=True)
    for number, name in enumerate(("deep/b.csv", "deep/a.csv", "deep/er/c.csv", "[x].csv")):
        mill.write(name, f"id\n{number}\n")
    mill.go("same", "deep/**/*.csv", "[x].csv", "-o", "out.csv")
    assert [row["id"] for row in mill.read()] == ["1", "0", "2", "3"]
    assert "no file matches 'deep/*.tsv'" in mill.go("same", "deep/*.tsv", "-o", "o.csv", code=65)
    assert "nope.csv cannot be read" in mill.go("same", "nope.csv", "-o", "o.csv", code=65)
    assert "an input twice" in mill.go("same", "deep/a.csv", "deep/../deep/a.csv", "-o", "o.csv", code=2)
    assert "several formats" in mill.go("same", "deep/a.csv", "x.ndjson", "-o", "o.csv", code=2)
    assert "no folder" in mill.go("same", "deep/a.csv", "-o", "none/o.csv", code=2)


def test_a_pipe_with_a_name_is_refused_without_waiting_for_it(mill: Any) -> None:
    os.mkfifo(mill.folder / "in.csv")
    assert "pipe it into standard input" in mill.go("same", "in.csv", "-o", "out.csv", code=65)


def test_an_output_that_cannot_be_made_is_told_without_a_traceback(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    (mill.folder / "out.csv.partial").mkdir()
    said = mill.go("same", "in.csv", "-o", "out.csv", code=74)
    assert "out.csv.partial cannot be written: Is a directory" in said


def test_failed_rows_run_again_and_keep_where_they_came_from(mill: Any) -> None:
    mill.write("in.csv", "id,text\n1,a\n2,b\n3\n4,d\n")
    mill.write("in.ndjson", '{"id":1}\n{"id":6}\nnope\n')
    mill.go("odd", "in.csv", "-o", "out.csv", code=3)
    mill.go("odd", "in.ndjson", "-o", "out.ndjson", code=3)
    letters = mill.letters() + mill.letters("out.ndjson.dead.ndjson")
    mill.write("all.dead.ndjson", (mill.folder / "out.csv.dead.ndjson").read_bytes() + b"\n")
    with (mill.folder / "all.dead.ndjson").open("ab") as file:
        file.write((mill.folder / "out.ndjson.dead.ndjson").read_bytes())
    mill.go("odd", "all.dead.ndjson", "-o", "again.csv", "--chunk-bytes", "100", code=3)
    again = mill.letters("again.csv.dead.ndjson")
    assert again == letters  # the same places, reasons and rows
    mill.go("anything", "all.dead.ndjson", "-o", "fixed.ndjson", "--pad", code=3)
    fixed = (mill.folder / "fixed.ndjson").read_text().splitlines()
    assert fixed == [
        '{"id":"2","text":"b"}',
        '{"id":"3","text":""}',
        '{"id":"4","text":"d"}',
        '{"id":6}',
    ]
    assert [each["raw"] for each in mill.letters("fixed.ndjson.dead.ndjson")] == ["nope"]


def test_letters_without_their_input_need_the_names_of_columns(mill: Any) -> None:
    mill.write("in.csv", "id,text\n1\n")
    mill.go("same", "in.csv", "-o", "out.csv", code=3)
    (mill.folder / "in.csv").unlink()
    mill.go("same", "out.csv.dead.ndjson", "-o", "fixed.csv", "--pad", code=3)
    assert "say them with --header A,B" in mill.letters("fixed.csv.dead.ndjson")[0]["message"]
    mill.go("same", "out.csv.dead.ndjson", "-o", "more.csv", "--pad", "--header", "id,text")
    assert mill.read("more.csv") == [{"id": "1", "text": ""}]


def test_letters_become_typed_rows(mill: Any) -> None:
    mill.write("in.csv", "id,price,note\n1,2.5,\n2,x,y\n")
    mill.go("priced", "in.csv", "-o", "out.csv", code=3)
    path = mill.folder / "out.csv.dead.ndjson"
    path.write_text(path.read_text().replace('"price":"x"', '"price":"4"'))  # somebody mended it
    mill.go("priced", "out.csv.dead.ndjson", "-o", "fixed.csv")
    assert mill.read("fixed.csv") == [{"id": "2", "double": "8.0", "note": "y"}]


def test_what_is_no_letter_is_told(mill: Any) -> None:
    mill.write("x.dead.ndjson", '{"id":1}\n')
    mill.go("same", "x.dead.ndjson", "-o", "out.csv", code=3)
    (letter,) = mill.letters()
    assert "this is no dead letter" in letter["message"]
    assert letter["raw"] == '{"id":1}'


@pytest.mark.parametrize(
    ("handler", "words", "header"),
    [
        ("same", ("--select", "b", "--rename", "b=B"), "B"),
        ("same", ("--extra", "more"), "a,b,more"),
        ("same", ("--header", "x,y", "--limit", "0"), "x,y"),
        ("summed", ("--limit", "0"), "id,total"),
        ("summed", ("--limit", "0", "--columns", "total,more"), "total,more"),
    ],
)
def test_the_header_of_an_output_without_rows_is_that_of_its_rows(
    mill: Any, handler: str, words: tuple[str, ...], header: str
) -> None:
    mill.write("in.csv", "a,b\n")
    mill.write("none.csv", "")
    mill.go(handler, "none.csv", "in.csv", "-o", "out.csv", *words)
    assert (mill.folder / "out.csv").read_text() == header + "\n"
