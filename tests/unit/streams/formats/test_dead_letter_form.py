from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill.streams.chunk import Chunk
from gristmill.streams.dead_letter import MAX_RAW
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.dead_letter_form import DeadLetterForm
from gristmill.streams.sources.protocol import Rows
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head
from gristmill.streams.worker.letters import Letters


class Item(msgspec.Struct):
    id: int
    text: str = ""


def letter(**fields: Any) -> dict[str, Any]:
    return {
        "source": "in.csv", "row": 7, "start": 50, "end": 60, "stage": "handler", "code": "x",
        "message": "m", **fields,
    }  # fmt: skip


def read(letters: list[Any], kind: Any = Any, **options: Any) -> tuple[Rows, list[dict[str, Any]]]:
    """Return the rows of letters, and the letters of those that are none."""
    text = b"".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in letters
    )
    form = DeadLetterForm(csv=CsvForm(**options))
    file = Readable(path="x.dead.ndjson", size=0, changed_ns=0)
    reader = form.recipe([Head(length=0, columns=None)], [file]).rows(kind)
    (rows,) = reader.read(Chunk(number=0, source=0, start=0, end=len(text), body=text), 10)
    again = Letters(reader, "x.dead.ndjson")
    again.open(rows.start, rows.places)
    for number, bad in rows.bad.items():
        again.bad(number, bad)
    return rows, [json.loads(line) for line in again.lines().splitlines()]


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("id,text\n")
    (tmp_path / "in.tsv").write_text("id\ttext\n")


def test_items_are_rows_as_they_were_read_at_first() -> None:
    rows, bad = read(
        [
            letter(item={"id": "1", "text": "a"}),
            b"\n",
            letter(source="x.ndjson", item={"id": 2, "big": 10**30}),
        ]
    )
    assert rows.items == [{"id": "1", "text": "a"}, {"id": 2, "big": 10**30}]
    assert (list(rows.numbers), rows.total, rows.blank, bad) == ([0, 2], 2, 1, [])


def test_items_become_what_the_handler_takes() -> None:
    rows, bad = read(
        [letter(item={"id": "1"}), letter(item={"id": "x"}), letter(source="x.ndjson", item={"id": "1"})],
        Item,
    )
    assert rows.items == [Item(1)]
    assert [(each["stage"], each["code"], each["item"]) for each in bad] == [
        ("validate", "invalid_item", {"id": "x"}),
        ("validate", "invalid_item", {"id": "1"}),  # JSON says types itself
    ]


def test_text_that_was_no_row_is_read_as_the_options_of_now_say() -> None:
    letters = [
        letter(stage="parse", raw="1\n"),
        letter(stage="parse", source="in.tsv", raw="2\n"),
        letter(stage="parse", base64=base64.b64encode(b"3,\xe9\n").decode()),
        letter(stage="parse", source="x.ndjson", raw='{"id":4}'),
    ]
    rows, bad = read(letters, pad=True, encoding="latin-1")
    assert rows.items == [
        {"id": "1", "text": ""},
        {"id": "2", "text": ""},
        {"id": "3", "text": "é"},
        {"id": 4},
    ]
    rows, bad = read(letters)
    assert rows.items == [{"id": 4}]
    assert [each["code"] for each in bad] == ["column_count", "column_count", "bad_encoding"]
    assert [each.get("raw", each.get("base64")) for each in bad] == [
        each.get("raw", each.get("base64")) for each in letters[:3]
    ]


def test_what_fails_again_keeps_where_it_was_at_first() -> None:
    _, (again,) = read([b"\n", letter(stage="parse", raw="1\n")])
    assert {name: again[name] for name in ("source", "row", "start", "end")} == {
        "source": "in.csv", "row": 7, "start": 50, "end": 60,
    }  # fmt: skip


def test_a_row_that_was_not_kept_is_told() -> None:
    _, bad = read([letter(stage="parse"), letter(item=None), letter(source="x.ndjson")])
    assert {each["code"] for each in bad} == {"row_not_kept"}
    assert MAX_RAW  # of longer texts only the place is kept


def test_what_is_no_letter_is_told_with_its_own_place() -> None:
    _, bad = read([letter(item={"id": "1"}), b'{"id":1}\n', b"nope\n"])
    assert [(each["source"], each["row"], each["raw"]) for each in bad] == [
        ("x.dead.ndjson", 2, '{"id":1}'),
        ("x.dead.ndjson", 3, "nope"),
    ]


def test_columns_come_from_the_input_or_from_the_options() -> None:
    gone = letter(source="gone.csv", stage="parse", raw="1,a\n")
    _, (bad,) = read([gone])
    assert "say them with --header A,B" in bad["message"]
    rows, _ = read([gone], header=("x", "y"))
    assert rows.items == [{"x": "1", "y": "a"}]
