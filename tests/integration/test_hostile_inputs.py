"""Hostile inputs and their exact answers, on real servers; after each of them a good request is answered."""

from __future__ import annotations

import gzip
import http.client
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.bombs import gzip_bomb

MIB = 1 << 20
JSON_TYPE = b"Content-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def survivor(server: Any) -> Iterator[None]:
    """The server answers good requests after every test."""
    yield
    assert server.process.poll() is None
    assert server.is_well()


def post(path: bytes, *headers: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path, b"".join(headers))


def problem_in(received: bytes) -> dict[str, Any]:
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d" % found["status"])
    return found


@pytest.mark.parametrize(("path", "limit"), [(b"/v1/echo", MIB), (b"/v1/echo/batch", 8 * MIB)])
def test_1_a_length_over_the_limit_is_refused_unread_and_closed(server: Any, path: bytes, limit: int) -> None:
    received = server.send_raw(post(path, JSON_TYPE, b"Content-Length: %d\r\n" % (limit + 1)))
    found = problem_in(received)
    assert (found["status"], found["code"], found["limit_bytes"]) == (413, "content_too_large", limit)
    assert b"connection: close" in received.lower()


def test_2_a_chunked_body_is_refused_when_it_crosses_the_limit(server: Any) -> None:
    before = server.post("/v1/peak_memory", b"null").json()
    sent = 0
    with server.connect() as caller:
        caller.sendall(post(b"/v1/echo/batch", JSON_TYPE, b"Transfer-Encoding: chunked\r\n"))
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            while sent < 64 * MIB:
                caller.sendall(chunk)
                sent += 65536
        except OSError:
            pass  # the server has closed: what is wanted
    assert sent < 64 * MIB
    assert server.post("/v1/peak_memory", b"null").json() - before < 32 * MIB


@pytest.mark.parametrize("chunked", [False, True])
def test_2_a_caller_that_sends_all_before_it_reads_sees_the_refusal(server: Any, *, chunked: bool) -> None:
    body = b" " * (20 * MIB)
    pieces = iter([body[start : start + 65536] for start in range(0, len(body), 65536)])
    answer = server.post("/v1/echo", pieces if chunked else body)
    assert (answer.status, answer.problem()) == (413, "content_too_large")


def test_2_the_refusal_of_a_chunked_body_is_a_problem(server: Any) -> None:
    chunk = b"%x\r\n%b\r\n" % (MIB + 1, b" " * (MIB + 1))
    received = server.send_raw(post(b"/v1/echo", JSON_TYPE, b"Transfer-Encoding: chunked\r\n") + chunk)
    assert problem_in(received)["code"] == "content_too_large"


def test_3_too_many_items_are_refused_whole(server: Any) -> None:
    answer = server.post("/v1/echo/batch", [{"text": "x"}] * 1001)
    assert (answer.status, answer.problem(), answer.json()["limit_items"]) == (413, "too_many_items", 1000)


def test_4_an_oversize_item_fails_alone(server: Any) -> None:
    answer = server.post("/v1/echo/batch", [{"text": "x"}, {"text": "y" * 2 * MIB}, {"text": "z"}])
    items = answer.json()["items"]
    assert (answer.status, [item["status"] for item in items]) == (200, [200, 413, 200])
    assert items[1]["error"]["limit_bytes"] == MIB


def test_5_a_body_cut_off_is_malformed_at_its_end(server: Any) -> None:
    answer = server.post("/v1/echo/batch", b'{"items":[')
    assert (answer.status, answer.problem(), answer.json()["offset"]) == (400, "malformed_json", 10)


@pytest.mark.parametrize("name", ["echo", "models", "anything"])
@pytest.mark.parametrize(
    "value",
    [
        b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 5000, b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"',
    ],
)  # fmt: skip
def test_6_8_10_what_is_not_strict_json_is_malformed(server: Any, name: str, value: bytes) -> None:
    alone = server.post(f"/v1/{name}", b'{"text":%b}' % value)
    together = server.post(
        f"/v1/{name}/batch", b'{"items":[{"data":{"text":"x"}},{"data":{"text":%b}}]}' % value
    )
    assert [(one.status, one.problem()) for one in (alone, together)] == [(400, "malformed_json")] * 2


@pytest.mark.parametrize("body", ['{"text":"x"}'.encode("utf-16"), b'\xef\xbb\xbf{"text":"x"}', b""])
def test_10_other_encodings_and_no_body_are_malformed(server: Any, body: bytes) -> None:
    answer = server.post("/v1/echo", body)
    assert (answer.status, answer.problem()) == (400, "malformed_json")


@pytest.mark.parametrize("path", ["/v1/echo", "/v1/echo/batch", "/v1/anything", "/v1/models/batch"])
def test_7_a_hundred_thousand_brackets_are_too_deep_at_once(server: Any, path: str) -> None:
    def seconds(body: bytes, *problem: Any) -> float:
        began = time.perf_counter()
        answer = server.post(path, body)
        took = time.perf_counter() - began
        assert (answer.status, answer.problem(), answer.json().get("limit_depth")) == problem
        return took

    deep = min(seconds(b"[" * 100_000, 400, "too_deep", 64) for _ in range(5))
    flat = min(seconds(b"?" * 100_000, 400, "malformed_json", None) for _ in range(5))
    assert deep < 20 * flat  # a look at each bracket by Python alone would be more


def test_9_of_a_doubled_key_the_last_wins_unless_keys_are_strict(server: Any) -> None:
    body = b'{"text":"a","text":"b"}'
    assert server.post("/v1/echo", body).json() == {"text": "b"}
    answer = server.post("/brisk/echo", body)
    assert (answer.status, answer.problem()) == (400, "duplicate_key")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""]
)
def test_11_another_content_type_is_refused_with_what_is_accepted(server: Any, kind: str) -> None:
    answer = server.post("/v1/echo", b"{}", content_type=kind)
    assert (answer.status, answer.problem()) == (415, "unsupported_media_type")
    assert answer.headers["accept-post"] == "application/json"


def test_11_no_content_type_is_refused_with_what_is_accepted(server: Any) -> None:
    received = server.send_raw(
        post(b"/v1/echo/batch", b"Connection: close\r\n", b"Content-Length: 2\r\n") + b"{}"
    )
    assert problem_in(received)["code"] == "unsupported_media_type"
    assert b"accept-post: application/json, application/x-ndjson" in received.lower()


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate"])
def test_12_another_coding_is_refused_with_what_is_accepted(server: Any, coding: str) -> None:
    answer = server.post("/v1/echo", b"{}", content_encoding=coding)
    assert (answer.status, answer.problem()) == (415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "gzip"


def test_13_a_gzip_bomb_is_defused_with_flat_memory(server: Any) -> None:
    before = server.post("/v1/peak_memory", b"null").json()
    bomb = gzip_bomb(1024 * MIB, b"0")
    with server.connect() as caller:
        head = post(
            b"/v1/echo/batch", JSON_TYPE, b"Content-Encoding: gzip\r\n", b"Content-Length: %d\r\n" % len(bomb)
        )
        caller.sendall(head + bomb[:65536])
        received = caller.recv(65536)
        while b"\r\n\r\n" not in received or not received.endswith(b"}"):
            received += caller.recv(65536)
    assert problem_in(received)["code"] == "content_too_large"
    assert server.post("/v1/peak_memory", b"null").json() - before < 48 * MIB


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"{}", mtime=0)[:-4],
        gzip.compress(b"{}", mtime=0)[:5],
        b"{}",
        gzip.compress(b"{}", mtime=0) + b"x",
    ],
)
def test_14_truncated_or_corrupt_gzip_is_malformed(server: Any, packed: bytes) -> None:
    answer = server.post("/v1/echo", packed, content_encoding="gzip")
    assert (answer.status, answer.problem()) == (400, "malformed_encoding")


def test_15_an_id_given_twice_is_refused_with_both_places(server: Any) -> None:
    answer = server.post("/v1/echo/batch", {"items": [{"id": name, "data": {"text": "x"}} for name in "aba"]})
    assert (answer.status, answer.problem()) == (422, "duplicate_item_id")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/items/0/id", "#/items/2/id"]


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x", "a\x00", "a" * 129, ""])
def test_16_an_id_out_of_its_alphabet_is_refused(server: Any, name: str) -> None:
    answer = server.post("/v1/echo/batch", {"items": [{"id": name, "data": {"text": "x"}}]})
    assert (answer.status, answer.problem()) == (422, "invalid_item_id")


def test_17_one_wrong_item_of_a_hundred_fails_alone(server: Any) -> None:
    items: list[dict[str, Any]] = [{"text": f"{index}"} for index in range(100)]
    items[50] = {"text": 50}
    reply = server.post("/v1/echo/batch", items).json()
    assert reply["errors"] is True
    assert [item["index"] for item in reply["items"] if item["status"] == 422] == [50]
    assert [item["result"] for item in reply["items"] if item["status"] == 200] == items[:50] + items[51:]


def test_18_what_a_handler_raises_is_in_the_log_only(server: Any) -> None:
    alone = server.post("/v1/raising", "hunter2")
    reply = server.post("/v1/raising/batch", ["hunter3", "x", "y"]).json()
    assert (alone.status, alone.problem()) == (500, "handler_error")
    assert [item["error"]["code"] for item in reply["items"]] == ["handler_error"] * 3
    assert "pw=" not in json.dumps(reply) + alone.body.decode()
    assert "Traceback" not in json.dumps(reply) + alone.body.decode()
    (instance,) = {item["error"]["instance"] for item in reply["items"]}
    wanted = [(alone.json()["instance"], "hunter2"), (instance, "hunter3")]
    while not all(any(name in line and text in line for line in server.lines) for name, text in wanted):
        pass  # the log comes through a pipe


def test_19_a_reply_of_another_length_is_given_to_nobody(server: Any) -> None:
    reply = server.post("/v1/careless/batch", ["a", "short", "b"]).json()
    assert [(item["status"], item["error"]["code"]) for item in reply["items"]] == [
        (500, "handler_contract")
    ] * 3


@pytest.mark.parametrize("unusable", ["nan", "object", "lone"])
def test_19_a_result_that_is_not_json_fails_alone_and_shifts_none(server: Any, unusable: str) -> None:
    reply = server.post("/v1/careless/batch", ["a", unusable, "b"]).json()
    assert [item.get("result") for item in reply["items"]] == ["a", None, "b"]
    assert (reply["items"][1]["status"], reply["items"][1]["error"]["code"]) == (500, "handler_contract")
    alone = server.post("/v1/careless", unusable)
    assert (alone.status, alone.problem()) == (500, "handler_contract")


@pytest.mark.parametrize(
    ("path", "body"), [(b"/v1/lingering", b'"leaver"'), (b"/v1/lingering/batch", b'["leaver"]')]
)
def test_20_the_item_of_a_caller_that_leaves_is_dropped(server: Any, path: bytes, body: bytes) -> None:
    def counted(what: str) -> float:
        lines = server.get("/metrics").body.decode().splitlines()
        values = [float(line.split()[-1]) for line in lines if line.startswith(what)]
        return sum(values)

    cancelled = 'gristmill_items_total{handler="lingering",outcome="cancelled"}'
    before = counted(cancelled)
    with server.connect() as leaver, server.connect() as neighbour:
        leaver.sendall(post(path, JSON_TYPE, b"Content-Length: %d\r\n" % len(body)) + body)
        while counted('gristmill_pending_items{handler="lingering"}') < 1:
            pass
        neighbour.sendall(
            post(b"/v1/lingering", JSON_TYPE, b"Connection: close\r\n", b"Content-Length: 6\r\n") + b'"stay"'
        )
        leaver.close()
        received = b""
        while chunk := neighbour.recv(65536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b'["stay"]')
    assert counted(cancelled) == before + 1


def overtakes(server: Any, slow: Callable[[], socket.socket]) -> bool:
    """Tell whether a good request is answered while a slow one, begun before it, still has time."""
    with slow() as caller:
        return bool(server.is_well()) and not select.select([caller], [], [], 0)[0]


def test_28_slow_bodies_time_out_and_delay_nobody(server: Any) -> None:
    def slow() -> socket.socket:
        caller = server.connect()
        caller.sendall(post(b"/brisk/echo", JSON_TYPE, b"Content-Length: 12\r\n") + b"{")
        return caller  # type: ignore[no-any-return]  # the fixture is Any

    callers = [slow() for _ in range(200)]
    try:
        assert all(server.is_well() for _ in range(20))
        assert any(overtakes(server, slow) for _ in range(10))
        for caller in callers:
            caller.sendall(b'"')  # a byte now and then does not help
        for caller in callers:
            received = b""
            while chunk := caller.recv(65536):
                received += chunk
            found = problem_in(received)
            assert (found["status"], found["code"]) == (408, "request_timeout")
    finally:
        for caller in callers:
            caller.close()


def test_28_headers_without_a_body_time_out_too(server: Any) -> None:
    received = server.send_raw(post(b"/brisk/echo/batch", JSON_TYPE, b"Content-Length: 2\r\n"))
    assert problem_in(received)["code"] == "request_timeout"
    assert b"connection: close" in received.lower()


def test_a_body_cut_by_hanging_up_harms_nobody(server: Any) -> None:
    with server.connect() as caller:
        caller.sendall(post(b"/v1/echo", JSON_TYPE, b"Content-Length: 100\r\n") + b'{"text":')


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Type": "text/plain"}, 415), ({"Content-Type": "application/json"}, 400)],
)
def test_a_refused_request_leaves_its_connection_usable(
    server: Any, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)
    for _ in range(3):
        connection.request("POST", "/v1/echo", b'{"text":"x"', headers)
        refused = connection.getresponse()
        assert (refused.status, bool(refused.read())) == (status, True)
        connection.request("POST", "/v1/echo", b'{"text":"x"}', {"Content-Type": "application/json"})
        assert connection.getresponse().read() == b'{"text":"x"}'
    connection.close()


def test_bytes_that_are_not_http_harm_nobody(server: Any) -> None:
    assert not server.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    )
