"""Calls of handlers of a real App."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pydantic
import pytest

from gristmill import BatchClient, Client, Failed, Ok
from gristmill.errors import HandlerFailed, ItemFailed, ManyFailed, ReplyMismatch, RequestRefused


class Text(msgspec.Struct):
    text: str


class Model(pydantic.BaseModel):
    text: str
    weight: float = 1.0


async def test_single_calls_meet_in_few_requests(client: Client) -> None:
    echo = client.handler("echo", item=Text, result=Text)
    items = [Text(str(index)) for index in range(2500)]
    assert await asyncio.gather(*map(echo, items)) == items
    assert echo.stats().batch_size.count == 3


async def test_a_list_has_its_order_and_each_item_its_own_answer(client: Client) -> None:
    echo = client.handler("echo")
    with pytest.raises(ManyFailed) as caught:
        await echo.many([{"text": "a"}, {"text": 7}, {"text": "c"}])
    assert caught.value.values == [{"text": "a"}, None, {"text": "c"}]
    error = caught.value.errors[1]
    assert isinstance(error, ItemFailed)
    assert (error.code, str(error)) == ("invalid_item", "Expected `str`, got `int` at #/text")


async def test_pydantic_models_go_and_come_back(client: Client) -> None:
    models = client.handler("models", item=Model, result=Model)
    assert await models(Model(text="a")) == Model(text="a", weight=1.0)
    with pytest.raises(ItemFailed, match="no such text") as caught:
        await models(Model(text="missing"))
    assert caught.value.code == "not_found"


async def test_failures_are_those_of_the_handler_itself(client: Client) -> None:
    refusing = client.handler("refusing")
    assert await refusing.outcomes(["no", "no_more"]) == [
        Failed("about no", "no"),
        Failed("about no_more", "no_more"),
    ]
    with pytest.raises(HandlerFailed) as caught:
        await client.handler("raising")("secret")
    assert "secret" not in str(caught.value)
    with pytest.raises(ReplyMismatch):
        await client.handler("careless")("short")


async def test_five_thousand_items_of_a_stream(client: Client) -> None:
    anything = client.handler("anything")
    found = [each async for each in anything.map(iter(range(5000)))]
    assert found == [Ok(index) for index in range(5000)]


async def test_the_server_describes_its_handlers(client: Client) -> None:
    found = await client.handler("echo").describe()
    assert (found.name, found.description) == ("echo", "Return each item.")
    assert found.limits.batch_items == 1000
    assert found.routes["batch"] == "echo/batch"


async def test_a_handler_that_is_not_there(client: Client) -> None:
    with pytest.raises(RequestRefused) as caught:
        await client.handler("nobody")(1)
    assert (caught.value.status, caught.value.code) == (404, "not_found")


async def test_an_item_that_is_too_large_fails_alone(client: Client) -> None:
    found: list[Any] = await client.handler("anything").many(
        ["a", "x" * (2 << 20), "c"], return_exceptions=True
    )
    assert (found[0], found[2]) == ("a", "c")
    assert isinstance(found[1], ItemFailed)
    assert found[1].code == "too_large"


async def test_a_list_of_more_bytes_than_a_body_may_have_goes_in_parts(client: Client) -> None:
    anything = client.handler("anything")
    found = await anything.many(["x" * 900_000] * 30)
    assert [len(each) for each in found] == [900_000] * 30


async def test_our_own_route_is_an_endpoint_like_any_other(uvicorn_server: Any) -> None:
    async with BatchClient(
        f"http://127.0.0.1:{uvicorn_server.port}/v1/anything/batch",
        encode=lambda items: {"items": [{"data": item} for item in items]},
        decode=lambda found: [each["result"] for each in found["items"]],
    ) as anything:
        assert await asyncio.gather(*map(anything, range(500))) == list(range(500))
