"""``POST /v1/{name}/jobs?path=`` on real servers: what lies inside the folder, and nothing else."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files beside a secret."""
    found = tmp_path_factory.mktemp("served") / "root"
    (found / "in").mkdir(parents=True)
    (found / "in" / "people.csv").write_bytes(b'text,weight\na,1.5\n"b\nc",2\nd,heavy\n')
    rows = b"".join(b"%d,%d.5\n" % (number, number) for number in range(20_000))
    (found / "many.csv.gz").write_bytes(gzip.compress(b"text,weight\n" + rows))
    (found.parent / "secret.csv").write_text("text\nhunter2\n")
    (found / "link.csv").symlink_to("../secret.csv")
    (found / "out").symlink_to("..")
    os.mkfifo(found / "pipe.csv")
    return found


@pytest.fixture(scope="module", params=["uvicorn", "gristmill"])
def filed(request: pytest.FixtureRequest, folder: Path, running_server: Any) -> Iterator[Any]:
    """A server with that folder: by the App on uvicorn, by ``--files`` of ``gristmill serve``."""
    if request.param == "gristmill":
        with running_server("gristmill", "served_app:ordinary", "--files", str(folder)) as server:
            yield server
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SERVED_FILES", str(folder))
            with running_server("uvicorn") as server:
                yield server


def results(server: Any, answer: Any) -> list[dict[str, Any]]:
    body = server.get(answer.json()["links"]["results"] + "?ordered=true").body
    return [json.loads(line) for line in body.splitlines()]


def test_a_file_of_the_server_is_a_job(filed: Any) -> None:
    answer = filed.post("/v1/models/jobs?path=in/people.csv", prefer="wait=20")
    assert answer.status == 200
    found = results(filed, answer)
    assert [each.get("result") for each in found[:2]] == [
        {"text": "a", "weight": 1.5},
        {"text": "b\nc", "weight": 2.0},
    ]
    assert found[2]["error"]["detail"].startswith("line 5: ")


def test_a_packed_file_of_many_rows_is_stored_before_the_answer(filed: Any) -> None:
    answer = filed.post("/v1/models/jobs?path=many.csv.gz")
    assert (answer.status, answer.json()["counts"]["total"]) == (202, 20_000)
    done = filed.get(answer.json()["links"]["self"], prefer="wait=30").json()
    assert (done["state"], done["counts"]["succeeded"]) == ("completed", 20_000)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("../secret.csv", 422, "invalid_path"),
        ("%2e%2e/secret.csv", 422, "invalid_path"),
        ("/etc/passwd&format=csv", 422, "invalid_path"),
        ("..%5csecret.csv", 422, "invalid_path"),
        ("in/people.csv%00&format=csv", 422, "invalid_path"),
        ("link.csv", 404, "file_not_found"),
        ("out/secret.csv", 404, "file_not_found"),
        ("pipe.csv", 404, "file_not_found"),
        ("in&format=csv", 404, "file_not_found"),
    ],
)
def test_nothing_else_is_read(filed: Any, path: str, status: int, code: str) -> None:
    answer = filed.post(f"/v1/anything/jobs?path={path}")
    assert (answer.status, answer.problem()) == (status, code)
    assert b"hunter2" not in answer.body
    assert filed.get("/v1/jobs?handler=anything").json()["jobs"] == []
    assert filed.is_well()


def test_without_a_folder_no_file_is_read(server: Any) -> None:
    answer = server.post("/v1/models/jobs?path=in/people.csv")
    assert (answer.status, answer.problem()) == (403, "files_disabled")
