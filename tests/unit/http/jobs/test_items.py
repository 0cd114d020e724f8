from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gristmill import batch
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.headers import Form
from gristmill.http.jobs.csv_rows import RowCodec
from gristmill.http.jobs.items import from_json, one_item, reading
from gristmill.http.problems import Refused, Statuses
from gristmill.http.settings import HttpLimits
from gristmill.model.settling import Failure


@batch(name="numbers", max_weight=100, weigh=lambda number: number)
async def numbers(items: list[int]) -> list[int]:
    return items


BENCH = Bench(numbers, HttpLimits(item_bytes=20, job_items=4), Statuses(), Drain([]))


def told(entries: Any) -> list[Any]:
    return [entry.code if isinstance(entry, Failure) else entry.item for entry in entries]


def by_piece(form: Form, body: bytes, size: int, *, strict: bool = False) -> Iterator[Any]:
    read = reading(form, BENCH, RowCodec(BENCH.items), strict=strict)
    for start in range(0, len(body), size):
        yield from read.feed(body[start : start + size])
    yield from read.finish()


def test_an_envelope_and_an_array_are_read_alike() -> None:
    bodies = [b'[1,"2",3]', b'{"items":[{"data":1},{"data":"2"},{"data":3}]}']
    assert [told(from_json(body, BENCH, strict=False)[0]) for body in bodies] == [[1, "invalid_item", 3]] * 2


def test_entries_without_data_fail_alone() -> None:
    found, ids = from_json(b'{"items":[{"data":1},{"id":"b","date":2},3]}', BENCH, strict=False)
    assert told(found) == [1, "invalid_item", "invalid_item"]
    assert ids == [None, "b", None]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_are_read_in_any_pieces(size: int) -> None:
    body = b"1\n\n2 \r\n{\n1" + b" " * 30 + b"\n"
    assert told(by_piece(Form.LINES, body, size)) == [1, 2, "malformed_json", "too_large"]


def test_an_item_that_no_batch_can_hold_fails() -> None:
    assert told(by_piece(Form.LINES, b"101\n100", 100)) == ["item_too_heavy", 100]


def test_one_item_too_many_refuses_the_body() -> None:
    for body, form in ((b"1\n" * 5, Form.LINES), (b"x\n" * 5, Form.LINES), (b"a\n" + b"1\n" * 5, Form.CSV)):
        with pytest.raises(Refused) as caught:
            told(by_piece(form, body, 2))
        assert (caught.value.problem.code, caught.value.problem.limit_items) == ("too_many_items", 4)


def test_one_item_is_always_strict() -> None:
    assert told(one_item(b"7", BENCH)) == [7]
    with pytest.raises(Refused, match="invalid_item"):
        one_item(b'"7"', BENCH)


def test_strict_refuses_at_the_first_bad_one() -> None:
    with pytest.raises(Refused, match="malformed_json"):
        told(by_piece(Form.LINES, b"1\n{\n", 100, strict=True))


@pytest.mark.parametrize(
    ("body", "told_of"),
    [
        (b'1\n2\n{"a"\n4\n', "line 3: the body is not JSON"),
        (b'1\n2\n"3"\n4\n', "line 3: "),
        (b"1\n2\n\xff\n4\n", "line 3: the line is not UTF-8"),
    ],
)
def test_strict_says_which_line_is_bad(body: bytes, told_of: str) -> None:
    with pytest.raises(Refused) as caught:
        told(by_piece(Form.LINES, body, 100, strict=True))
    found = caught.value.problem
    assert str(found.detail).startswith(told_of)
    assert found.offset is msgspec.UNSET  # that would be of the line


def test_a_line_is_text_after_a_byte_order_mark_or_fails_alone() -> None:
    body = b"\xef\xbb\xbf1\n\xff\n\xef\xbb\xbf2\n3\n"
    assert told(by_piece(Form.LINES, body, 2)) == [1, "bad_encoding", "malformed_json", 3]
