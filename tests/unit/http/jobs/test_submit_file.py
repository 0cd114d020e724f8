from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gristmill.http.jobs import file_body
from gristmill.http.settings import HttpLimits
from gristmill.streams.formats.compression import Compression, told_by

NDJSON = "application/x-ndjson"
CSV = "text/csv"
ROWS = b"text,number\na,1\nb,x\nc\nd,\n"


@pytest.fixture
async def filed(open_desk: Any, tmp_path: Path) -> Any:
    """A desk with files: ``in/people.csv`` among them, its folder as ``root``."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_bytes(ROWS)
    desk = await open_desk(files=tmp_path)
    desk.root = tmp_path
    return desk


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def post(desk: Any, query: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await desk.client.post(f"/v1/echo/jobs?{query}", headers=named)


async def outcomes(desk: Any, answer: Any) -> list[Any]:
    found = await desk.client.get(answer.json()["links"]["results"] + "?ordered=true")
    lines = [json.loads(line) for line in found.text.splitlines()]
    return [line.get("result") or (line["error"]["code"], line["error"]["detail"]) for line in lines]


async def jobs(desk: Any) -> list[Any]:
    found: list[Any] = (await desk.client.get("/v1/jobs")).json()["jobs"]
    return found


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("a.csv", ROWS, CSV),
        ("a.tsv", ROWS.replace(b",", b"\t"), "text/tab-separated-values"),
        ("a.jsonl", b'\xef\xbb\xbf{"text":"a"}\n\n{"text":\n\xff\n{"text":1}\n{"text":"b"}', NDJSON),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
async def test_a_file_makes_the_job_that_an_upload_of_it_makes(
    filed: Any, name: str, body: bytes, kind: str, *, packed: bool
) -> None:
    sent = await filed.make(body, content_type=kind, prefer="wait=10")
    (filed.root / name).write_bytes(gzip.compress(body) if packed else body)
    answer = await post(filed, f"path={name}", prefer="wait=10")
    assert answer.status_code == sent.status_code == 200
    assert await outcomes(filed, answer) == await outcomes(filed, sent)
    assert answer.json()["counts"] == sent.json()["counts"]


async def test_rows_become_items_and_bad_ones_fail_with_their_line(filed: Any) -> None:
    answer = await post(filed, "path=in/people.csv", prefer="wait=10")
    found = await outcomes(filed, answer)
    assert found[0] == {"text": "a", "number": 1}
    assert found[1] == ("invalid_item", "line 3: Expected `int`, got `str` at #/1/number")
    assert found[2] == ("column_count", "line 4: the record has 1 cells, not 2")
    assert found[3] == {"text": "d", "number": 0}


async def test_it_is_answered_202_when_it_is_stored(filed: Any) -> None:
    filed.gate.clear()
    answer = await post(filed, "path=in/people.csv&priority=0&delay=0")
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["links"]["self"]
    assert (answer.json()["priority"], answer.json()["counts"]["total"]) == (0, 4)


async def test_options_say_how_it_is_written(filed: Any) -> None:
    (filed.root / "odd").write_bytes(b'text;text\n5" \xe9;y\n')
    query = "path=odd&format=csv&delimiter=%3B&quoting=lenient&encoding=cp1252&on_duplicate=first"
    answer = await post(filed, query, prefer="wait=10")
    assert await outcomes(filed, answer) == [{"text": '5" é', "number": 0}]
    sent = await filed.make(
        b'text;text\n5" \xe9;y\n',
        "/v1/echo/jobs?" + query.partition("&")[2],
        content_type=CSV,
        prefer="wait=10",
    )
    assert await outcomes(filed, sent) == await outcomes(filed, answer)


HOSTILE = [
    ("path=", "invalid_path"), ("path=people", "invalid_option"),
    ("path=in/people.parquet", "invalid_option"),
    ("path=in/people.csv&format=xls", "invalid_option"), ("path=in/people.csv&quoting=all", "invalid_option"),
    ("path=../people.csv", "invalid_path"), ("path=%2e%2e%2fpeople.csv", "invalid_path"),
    ("path=/etc/passwd&format=csv", "invalid_path"), ("path=%2Fetc%2Fpasswd&format=csv", "invalid_path"),
    ("path=in/%2e%2e/in/people.csv", "invalid_path"), ("path=in%5Cpeople.csv", "invalid_path"),
    ("path=in/people.csv%00&format=csv", "invalid_path"), ("path=.env&format=csv", "invalid_path"),
    ("path=in/people.csv&format=csv&path=../x", "invalid_path"), ("path=%FF&format=csv", "invalid_option"),
    ("path=nothing.csv", "file_not_found"), ("path=in&format=csv", "file_not_found"),
    ("path=link.csv", "file_not_found"), ("path=out/passwd&format=csv", "file_not_found"),
    ("path=pipe.csv", "file_not_found"), ("path=%252e%252e/x.csv", "file_not_found"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), HOSTILE)
async def test_a_path_that_is_not_inside_makes_no_job(filed: Any, query: str, expected: str) -> None:
    (filed.root / "link.csv").symlink_to("in/people.csv")
    (filed.root / "out").symlink_to("/etc")
    os.mkfifo(filed.root / "pipe.csv")
    answer = await post(filed, query)
    assert code(answer) == (404 if expected == "file_not_found" else 422, expected)
    assert "etc" not in answer.text
    assert str(filed.root) not in answer.text
    assert await jobs(filed) == []


async def test_without_a_folder_no_file_is_read(desk: Any) -> None:
    for path in ("in/people.csv", "../x.csv", "in/people"):
        assert code(await post(desk, f"path={path}")) == (403, "files_disabled")


async def test_other_ways_in_read_no_file(filed: Any) -> None:
    answer = await filed.make(
        [{"text": "a"}], "/v1/echo/batch?path=in/people.csv", prefer="respond-async, wait=10"
    )
    assert code(answer) == (400, "unknown_option")
    assert await jobs(filed) == []


async def test_a_body_beside_a_path_is_refused(filed: Any) -> None:
    answer = await filed.make(b"[]", "/v1/echo/jobs?path=in/people.csv")
    assert code(answer) == (422, "invalid_option")


async def test_strict_refuses_the_whole_file(filed: Any) -> None:
    answer = await post(filed, "path=in/people.csv", prefer="handling=strict")
    assert code(answer) == (422, "invalid_item")
    assert await jobs(filed) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"text\n" + b"a\n" * 6, (413, "too_many_items")),
        (b"text\n" + b"\n" * 3000, (413, "content_too_large")),
        (gzip.compress(b"text\n" + b"\n" * 3000, mtime=0), (413, "content_too_large")),
        (gzip.compress(b"text\na\n", mtime=0)[:-3], (400, "malformed_encoding")),
        (b"text,text\n", (400, "malformed_csv")),
        (b'text\na\n"b\n', (400, "malformed_csv")),
        (b"", (400, "malformed_csv")),
    ],
)
async def test_the_limits_of_uploads_hold_for_files(
    open_desk: Any, tmp_path: Path, body: bytes, expected: tuple[int, str]
) -> None:
    desk = await open_desk(files=tmp_path, limits=HttpLimits(job_bytes=3000, job_items=5))
    (tmp_path / "a.csv").write_bytes(body)
    answer = await post(desk, "path=a.csv")
    assert code(answer) == expected
    assert await jobs(desk) == []


async def test_a_key_holds_for_the_bytes_sent_or_read(filed: Any) -> None:
    first = await post(filed, "path=in/people.csv", idempotency_key="k")
    second = await filed.make(ROWS, content_type=CSV, idempotency_key="k")
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    (filed.root / "in" / "people.csv").write_bytes(ROWS + b"e,1\n")
    assert code(await post(filed, "path=in/people.csv", idempotency_key="k")) == (
        422,
        "idempotency_key_reused",
    )
    assert len(await jobs(filed)) == 1


async def test_a_file_that_changes_while_it_is_read_leaves_nothing(
    filed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filed.root / "in" / "people.csv"
    path.write_bytes(b"text\n" + b"x\n" * 40_000)

    def append(head: bytes) -> Compression:
        with path.open("ab") as file:
            file.write(b"y\n")
        return told_by(head)

    monkeypatch.setattr(file_body, "told_by", append)  # the file is open by then
    answer = await post(filed, "path=in/people.csv")
    assert code(answer) == (409, "file_changed")
    assert await jobs(filed) == []
