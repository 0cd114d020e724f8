"""``POST /v1/{name}/stream`` on real servers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

LINES = {"content_type": "application/x-ndjson"}


def verdicts(answer: Any) -> tuple[dict[int, Any], dict[str, Any]]:
    *lines, trailer = (json.loads(line) for line in answer.body.splitlines())
    return {line["index"]: line for line in lines}, trailer


def test_every_line_gets_a_verdict_and_the_last_line_sums_up(server: Any) -> None:
    body = b'{"text":"a"}\n{"text":\n\n{"text":7}\r\n{"text":"' + b"x" * (1 << 20) + b'"}\n{"text":"b"}'
    answer = server.post("/v1/echo/stream", body, **LINES)
    found, trailer = verdicts(answer)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [found[index]["status"] for index in range(5)] == [200, 400, 422, 413, 200]
    assert found[4]["result"] == {"text": "b"}
    assert found[2]["error"]["errors"][0]["pointer"] == "#/2/text"
    assert trailer == {
        "done": True,
        "errors": True,
        "counts": {"total": 5, "succeeded": 2, "failed": 3, "unprocessed": 0},
    }


def test_ten_thousand_lines_come_back_once_each(server: Any) -> None:
    def body() -> Iterator[bytes]:
        for start in range(0, 10_000, 100):
            yield b"".join(b"%d\n" % index for index in range(start, start + 100))

    found, trailer = verdicts(server.post("/v1/anything/stream", body(), **LINES))
    assert {index: line["result"] for index, line in found.items()} == {n: n for n in range(10_000)}
    assert trailer["counts"] == {"total": 10_000, "succeeded": 10_000, "failed": 0, "unprocessed": 0}


def test_an_empty_stream_is_done(server: Any) -> None:
    _, trailer = verdicts(server.post("/v1/echo/stream", b"", **LINES))
    assert trailer["done"] is True
    assert trailer["counts"]["total"] == 0


def test_verdicts_come_while_the_input_is_still_going(server: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)
    connection.putrequest("POST", "/v1/anything/stream")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(b"2\r\n1\n\r\n")
    response = connection.getresponse()
    assert json.loads(response.readline())["result"] == 1
    connection.send(b"2\r\n2\n\r\n")
    assert json.loads(response.readline())["result"] == 2
    connection.send(b"0\r\n\r\n")
    assert json.loads(response.readline())["done"] is True
    connection.close()


def test_a_stream_that_falls_silent_is_ended_with_its_totals(server: Any) -> None:
    received = server.send_raw(
        b"POST /brisk/echo/stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
        b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'd\r\n{"text":"a"}\n\r\n'
    )
    assert b'"status":200' in received
    assert b'"done":false' in received
    assert b'"code":"request_timeout"' in received
    assert server.is_well()


def test_a_caller_that_leaves_stops_its_stream(server: Any) -> None:
    caller = server.connect()
    caller.sendall(
        b"POST /v1/patient/stream HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n4\r\n"a"\n\r\n'
    )
    pending = b'gristmill_pending_items{handler="patient"} '
    while pending + b"1.0" not in server.get("/metrics").body:
        pass
    caller.close()
    while pending + b"0.0" not in server.get("/metrics").body:
        pass
    assert b'outcome="cancelled"} 1.0' in server.get("/metrics").body


def test_a_stream_of_another_type_or_coding_is_refused(server: Any) -> None:
    answer = server.post("/v1/echo/stream", b"{}")
    assert (answer.status, answer.problem()) == (415, "unsupported_media_type")
    assert answer.headers["accept-post"] == "application/x-ndjson"
    answer = server.post("/v1/echo/stream", b"", content_encoding="gzip", **LINES)
    assert (answer.status, answer.problem()) == (415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "identity"
