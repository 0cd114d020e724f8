from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
GRISTMILL = Path(sys.executable).with_name("gristmill")


@contextmanager
def serving(database):
    """The example as its users start it, on a free port: yields a client and what the server printed."""
    command = [
        GRISTMILL,
        "serve",
        ROOT / "examples" / "users.py:app",
        "--port",
        "0",
        "--log-level",
        "warning",
    ]
    env = os.environ | {"USERS_DB": str(database)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            printed = []
            while not printed or "curl" not in printed[-1]:
                printed.append(server.stdout.readline())
                assert printed[-1], "the server ended before it was ready"
            base = re.search(r"http://[\d.:]+", printed[0])[0]
            with httpx2.Client(base_url=base) as client:
                yield client, printed
        finally:
            server.send_signal(signal.SIGTERM)
    assert server.returncode == 0


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for all tests here, each with users of its own."""
    with serving(tmp_path_factory.mktemp("users") / "users.db") as (client, _):
        yield client


def user(name):
    return {"name": name.title(), "email": f"{name}@example.org"}


def test_a_user_is_created_and_found(client):
    created = client.post("/v1/users", json=user("ada"))
    key = created.json()["id"]
    assert (created.status_code, created.json()) == (200, {"id": key, **user("ada")})
    found = client.post("/v1/lookup", json=key)
    assert (found.status_code, found.json()) == (200, created.json())


def test_an_email_belongs_to_one_user(client):
    assert client.post("/v1/users", json=user("owner")).status_code == 200
    refused = client.post("/v1/users", json={"name": "Eve", "email": "OWNER@example.org"})
    assert refused.status_code == 409
    problem = refused.json()
    assert (problem["code"], problem["detail"]) == ("unique_violation", "email is taken")


def test_an_id_that_nobody_has_is_not_found(client):
    missing = client.post("/v1/lookup", json=2**63 - 1)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "item", "pointer"),
    [
        ("/v1/users", {"name": "", "email": "ada@example.org"}, "#/name"),
        ("/v1/users", {"name": "Ada", "email": "ada"}, "#/email"),
        ("/v1/users", {"name": "Ada", "email": "ada@example.org" + "g" * 250}, "#/email"),
        ("/v1/lookup", 0, "#"),
        ("/v1/lookup", 2**63, "#"),
    ],
)
def test_an_item_that_is_not_valid_is_told_where(client, path, item, pointer):
    refused = client.post(path, json=item)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_a_batch_answers_each_user_alone(client):
    users = [user("bob"), user("joe"), user("bob"), {"name": "Eve"}, user("kim")]
    reply = client.post("/v1/users/batch", json={"items": [{"data": one} for one in users]})
    assert reply.json()["counts"] == {"total": 5, "succeeded": 3, "failed": 2, "unprocessed": 0}
    entries = reply.json()["items"]
    assert [entry["status"] for entry in entries] == [200, 200, 409, 422, 200]
    first = entries[0]["result"]["id"]
    assert [entries[i]["result"] for i in (0, 1, 4)] == [
        {"id": first, **user("bob")},
        {"id": first + 1, **user("joe")},
        {"id": first + 2, **user("kim")},
    ]
    assert entries[2]["error"]["detail"] == "email is taken"


async def test_callers_at_the_same_moment_share_transactions_and_get_their_own_answers(client):
    async with httpx2.AsyncClient(base_url=client.base_url) as callers:
        names = [f"user{i}" for i in range(150)] + [f"user{i}" for i in range(50)]
        replies = await asyncio.gather(*(callers.post("/v1/users", json=user(name)) for name in names))
    assert sorted(reply.status_code for reply in replies) == [200] * 150 + [409] * 50
    created = [
        (name, reply.json()) for name, reply in zip(names, replies, strict=True) if reply.status_code == 200
    ]
    assert all(stored == {"id": stored["id"], **user(name)} for name, stored in created)
    assert len({stored["id"] for _, stored in created}) == 150
    assert len({reply.headers["batch-id"] for reply in replies}) < 200


def test_users_outlive_the_server_and_the_printed_command_works(tmp_path):
    with serving(tmp_path / "users.db") as (client, printed):
        words = shlex.split(printed[-1])
        item = json.loads(words[words.index("-d") + 1])
        created = client.post(words[1], json=item)
        assert (created.status_code, created.json()) == (200, {"id": 1, **item})
    with serving(tmp_path / "users.db") as (client, _):
        assert client.post("/v1/lookup", json=1).json() == {"id": 1, **item}
