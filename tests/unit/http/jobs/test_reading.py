from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gristmill.errors import StoreUnavailable
from gristmill.http.jobs.reading import ResultWriter, one_line
from gristmill.http.problems import Statuses
from gristmill.model.lease import ResultKind
from gristmill.model.settling import Failure
from gristmill.queue.reading import ItemResult


def line(**members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        ResultWriter(Statuses({"teapot": 418})).line(ItemResult(place=7, cursor="3.1", **members))
    )
    return found


def test_a_value_stands_as_it_was_stored() -> None:
    found = line(kind=ResultKind.SUCCEEDED, value=msgspec.Raw(b'{"a":1.50}'))
    assert found == {"index": 7, "status": 200, "result": {"a": 1.5}, "cursor": "3.1"}


def test_a_failure_is_the_same_problem_as_everywhere() -> None:
    found = line(kind=ResultKind.FAILED, failure=Failure("teapot", "short", 3))
    assert (found["status"], found["error"]["code"], found["error"]["detail"]) == (418, "teapot", "short")
    assert (found["error"]["type"], found["error"]["attempts"]) == ("/problems/teapot", 3)
    assert "status" not in found["error"]
    assert line(kind=ResultKind.FAILED, failure=Failure("handler_error", "", 5))["status"] == 500


def test_a_cancelled_item_may_be_sent_again() -> None:
    found = line(kind=ResultKind.CANCELLED)
    assert (found["error"]["code"], found["error"]["retryable"]) == ("cancelled", True)


def test_a_text_of_several_lines_becomes_one() -> None:
    assert bytes(one_line(b'{\n  "a": [1.50,\r\n 2]\n}')) == b'{"a":[1.50,2]}'


async def test_results_are_read_on_from_a_cursor(desk: Any) -> None:
    items = [{"text": "bad" if n % 3 == 0 else str(n)} for n in range(9)]
    made = await desk.make(items, prefer="wait=10")
    path = made.json()["links"]["results"]
    every = [json.loads(text) for text in (await desk.client.get(path)).text.splitlines()]
    assert sorted(each["index"] for each in every) == list(range(9))
    for place, each in enumerate(every):
        rest = (await desk.client.get(path, params={"after": each["cursor"]})).text.splitlines()
        assert [json.loads(text) for text in rest] == every[place + 1 :]
    failed = [json.loads(text) for text in (await desk.client.get(path + "?status=failed")).text.splitlines()]
    assert [each["index"] for each in failed] == [0, 3, 6]
    ordered = (await desk.client.get(path + "?ordered=true")).text.splitlines()
    assert [json.loads(text)["index"] for text in ordered] == list(range(9))
    cursor = json.loads(ordered[3])["cursor"]
    assert (await desk.client.get(f"{path}?ordered=true&after={cursor}")).text.splitlines() == ordered[4:]


@pytest.mark.parametrize(
    "query",
    [
        "status=expired",
        "after=1",
        "after=x.1",
        f"after={'9' * 30}.1",
        "ordered=true&after=1.1",
        "after=i1",
        "ordered=true&status=failed",
        "ordered=2",
    ],
)
async def test_results_of_something_else_are_refused(desk: Any, query: str) -> None:
    made = await desk.make([{"text": "a"}], prefer="wait=10")
    answer = await desk.client.get(f"{made.json()['links']['results']}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")


async def test_items_that_wait_come_back_as_lines(desk: Any) -> None:
    body = b'[\n {"text": "a\\n",\n  "number": 1},\n {"text": "b"}]'
    made = await desk.make(body, "/v1/echo/jobs?delay=1000", content_type="application/json")
    answer = await desk.client.get(made.json()["links"]["unprocessed"])
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == '{"text":"a\\n","number":1}\n{"text": "b"}\n'


async def test_a_store_that_goes_in_between_is_told_in_the_last_line(desk: Any) -> None:
    made = await desk.make([{"text": "a"}], prefer="wait=10")
    desk.store.results_error = StoreUnavailable("gone")
    answer = await desk.client.get(made.json()["links"]["results"])
    (only,) = answer.text.splitlines()
    assert json.loads(only)["error"]["code"] == "store_unavailable"
