from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any

import fastapi
import msgspec
import pydantic
import pytest

from gristmill.http.openapi import openapi_document, route_openapi_extra
from gristmill.http.settings import HttpLimits
from gristmill.model.limits import Limits
from gristmill.wire import BatchReply, ItemReply, Problem, StreamTrailer


class NewUser(msgspec.Struct):
    email: Annotated[str, msgspec.Meta(pattern="@", max_length=200)]
    friends: list[NewUser] = []


class User(msgspec.Struct):
    id: int


class Model(pydantic.BaseModel):
    name: str
    size: int = 1


LIMITS = Limits(max_size=500)


@dataclass(frozen=True)
class Handler:
    name: str = "users"
    description: str = "Create users.\n\nOne row each."
    item_type: Any = NewUser
    result_type: Any = User
    limits: Limits = LIMITS


USERS = Handler()
ROUTES = ["single", "batch", "stream", "describe"]


def find(node, key):
    """Every value of *key*, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from find(value, key)
    elif isinstance(node, list):
        for part in node:
            yield from find(part, key)


def resolve(document, ref):
    part = document
    for step in ref.removeprefix("#/").split("/"):
        part = part[step]
    return part


def operations(document):
    return [operation for item in document["paths"].values() for operation in item.values()]


@pytest.fixture(scope="module")
def document():
    return openapi_document(
        [USERS, Handler("models", "", Model, Model), Handler("anything", "", Any, Any)],
        title="Shop",
        version="2.1",
    )


def test_every_handler_has_its_routes_below_the_prefix(document):
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "Shop", "version": "2.1"}
    assert list(document["paths"]) == [
        *(
            f"/v1/{name}{end}"
            for name in ("users", "models", "anything")
            for end in ("", "/batch", "/stream")
        ),
        "/livez",
        "/readyz",
        "/metrics",
    ]
    assert set(document["paths"]["/v1/users"]) == {"get", "post"}


def test_the_document_is_json_and_every_reference_in_it_leads_somewhere(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    refs = list(find(document, "$ref"))

    assert len(refs) > 50
    assert all(resolve(document, ref) for ref in refs)


def test_every_component_is_used_and_has_a_name_that_openapi_allows(document):
    used = set(find(document, "$ref"))

    for section, parts in document["components"].items():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in parts)
        assert {f"#/components/{section}/{name}" for name in parts} <= used


def test_every_operation_has_what_openapi_requires_of_it(document):
    ids = [operation["operationId"] for operation in operations(document)]

    assert len(ids) == len(set(ids)) == 15
    for operation in operations(document):
        assert operation["summary"]
        assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}
        assert all(re.fullmatch(r"[1-5]\d\d|default", code) for code in operation["responses"])
        for response in operation["responses"].values():
            told = resolve(document, response["$ref"]) if "$ref" in response else response
            assert told["description"]


def test_a_docstring_is_the_summary_and_the_description_of_the_single_route(document):
    operation = document["paths"]["/v1/users"]["post"]

    assert operation["summary"] == "Create users"
    assert operation["description"].startswith("Create users.\n\nOne row each.\n\n")
    assert document["tags"][0]["description"] == "Create users.\n\nOne row each."
    assert document["paths"]["/v1/models"]["post"]["summary"] == "Send one item to models"


def test_a_single_item_is_the_body_and_its_result_the_answer(document):
    operation = document["paths"]["/v1/users"]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/NewUser"
    }
    answer = operation["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/User"}
    assert set(answer["headers"]) == {"Batch-Id", "Batch-Size", "Server-Timing"}
    assert set(operation["responses"]) == {
        *("200", "400", "404", "408", "409", "413", "415", "422", "429", "500", "503", "504", "default")
    }


def test_refusals_name_their_codes_and_the_ones_that_pass_say_when_to_come_back(document):
    full = document["components"]["responses"]["Problem503"]

    assert "`queue_full`" in full["description"]
    assert full["headers"] == {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    assert "headers" not in document["components"]["responses"]["Problem422"]


def test_the_examples_are_what_the_wire_types_read(document):
    single = document["paths"]["/v1/users"]["post"]
    batch = document["paths"]["/v1/users/batch"]["post"]
    stream = document["paths"]["/v1/users/stream"]["post"]

    assert msgspec.convert(single["requestBody"]["content"]["application/json"]["example"], NewUser)
    entries = batch["requestBody"]["content"]["application/json"]["example"]["items"]
    assert [msgspec.convert(entry["data"], NewUser).email for entry in entries] == ["ada@example.com"] * 2
    reply = msgspec.convert(batch["responses"]["200"]["content"]["application/json"]["example"], BatchReply)
    assert reply.counts.total == len(reply.items) == 2
    *lines, last = stream["responses"]["200"]["content"]["application/x-ndjson"]["example"].splitlines()
    assert [msgspec.json.decode(line, type=ItemReply).index for line in lines] == [0, 1]
    assert msgspec.json.decode(last, type=StreamTrailer).counts.total == 2
    for response in document["components"]["responses"].values():
        for example in response["content"]["application/problem+json"].get("examples", {}).values():
            assert msgspec.convert(example["value"], Problem).code


def test_a_batch_is_an_envelope_or_an_array_no_longer_than_the_limit():
    document = openapi_document([USERS], limits=HttpLimits(batch_items=7, item_bytes=1000))
    envelope, array = document["components"]["schemas"]["UsersBatchRequest"]["anyOf"]

    assert envelope["properties"]["items"]["maxItems"] == array["maxItems"] == 7
    assert "1000 bytes" in document["paths"]["/v1/users"]["post"]["requestBody"]["description"]
    assert array["items"] == {"$ref": "#/components/schemas/NewUser"}
    assert document["paths"]["/v1/users/batch"]["post"]["parameters"] == [
        {"$ref": f"#/components/parameters/{name}"}
        for name in ("Prefer", "Idempotency-Key", "Idempotency-Repeat")
    ]


def test_each_handler_has_replies_with_its_own_result(document):
    schemas = document["components"]["schemas"]

    assert schemas["UsersItemReply"]["properties"]["result"]["$ref"] == "#/components/schemas/User"
    assert schemas["UsersBatchReply"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/UsersItemReply"
    }
    assert schemas["UsersBatchReply"]["required"] == ["errors", "took_ms", "counts", "items"]


def test_types_of_one_name_keep_apart():
    class User(msgspec.Struct):
        login: str

    class Problem(msgspec.Struct):
        sums: list[int]

    handlers = [USERS, Handler("logins", "", User, Problem)]
    schemas = openapi_document(handlers)["components"]["schemas"]

    assert set(schemas["User"]["properties"]) == {"id"}
    assert set(schemas["UserInput"]["properties"]) == {"login"}
    assert "code" in schemas["Problem"]["properties"]
    assert set(schemas["ProblemOutput"]["properties"]) == {"sums"}


def test_handlers_whose_names_read_alike_keep_apart():
    document = openapi_document([Handler("a-b", "", int, int), Handler("a_b", "", str, str)])

    one, other = (document["paths"][f"/v1/{name}/batch"]["post"]["requestBody"] for name in ("a-b", "a_b"))
    assert one["content"]["application/json"]["schema"] != other["content"]["application/json"]["schema"]


def test_the_limits_of_a_handler_stand_beside_its_tag():
    document = openapi_document([USERS])

    assert document["tags"][0]["x-limits"] == {
        "max_size": 500,
        "max_wait": 0.0,
        "max_pending": 10_000,
        "timeout": 30.0,
    }


def test_paths_are_relative_to_the_document_so_it_holds_below_any_mount():
    assert openapi_document([USERS])["servers"] == [{"url": "."}]
    assert "/users" in openapi_document([USERS], prefix="")["paths"]


def test_metrics_are_listed_only_where_there_are_any():
    assert "/metrics" not in openapi_document([], metrics=False)["paths"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_for_another_document_refers_to_nothing_outside_itself(route):
    extra = route_openapi_extra(USERS, route)

    assert list(find(extra, "$ref")) == []
    assert "operationId" not in extra
    assert "200" in extra["responses"]


def test_fastapi_documents_the_routes_beside_its_own_parameters():
    async def endpoint() -> fastapi.Response:
        return fastapi.Response()

    async def authenticated(x_key: Annotated[str, fastapi.Header()]) -> str:
        return x_key

    app = fastapi.FastAPI(dependencies=[fastapi.Depends(authenticated)])
    for route in ROUTES:
        app.add_api_route(
            f"/users/{route}", endpoint, methods=["POST"], openapi_extra=route_openapi_extra(USERS, route)
        )
    paths = app.openapi()["paths"]

    batch = paths["/users/batch"]["post"]
    keyed = {"Idempotency-Key", "Idempotency-Repeat"}
    assert {parameter["name"] for parameter in batch["parameters"]} == {"x-key", "Prefer", *keyed}
    assert batch["summary"] == "Send a batch to users"
    single = paths["/users/single"]["post"]
    item = single["requestBody"]["content"]["application/json"]["schema"]
    assert item["properties"]["email"]["maxLength"] == 200
    assert single["responses"]["200"]["content"]["application/json"]["schema"]["required"] == ["id"]
