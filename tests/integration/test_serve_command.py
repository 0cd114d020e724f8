"""``gristmill serve`` as users type it."""

from __future__ import annotations

import http.client
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
HANDLERS = """
from gristmill import App, batch
import msgspec

class NewUser(msgspec.Struct):
    name: str
    age: int

@batch(name="users")
async def create_users(users: list[NewUser]) -> list[str]:
    return [user.name for user in users]

app = App(handlers=[create_users])
number = 7
"""


def gristmill(*words: str, cwd: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [GRISTMILL, *words], cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def users(tmp_path: Path) -> Path:
    (tmp_path / "users.py").write_text(HANDLERS)
    return tmp_path


def test_a_store_that_cannot_be_used_as_it_is_is_one_line_and_nothing_is_served(users: Path) -> None:
    (users / "gristmill.db").write_text("this is no database, and it is long enough to be seen as none" * 20)
    code, said, complaint = gristmill("serve", "users:app", "--port", "0", cwd=users)
    assert (code, said) == (2, "")
    (line,) = [each for each in complaint.splitlines() if not each.startswith("INFO: ")]
    assert line.startswith("gristmill: error: ")
    assert "is no SQLite database" in line


def test_a_store_in_a_folder_that_does_not_exist_is_told_before_anything_is_served(users: Path) -> None:
    (users / "lost.py").write_text(
        HANDLERS.replace("[create_users])", "[create_users], store='sqlite:///no/x.db')")
    )
    code, said, complaint = gristmill("serve", "lost:app", "--port", "0", cwd=users)
    assert (code, said) == (2, "")
    assert f"error: the folder of the store does not exist; create it first: {users / 'no'}" in complaint


@pytest.mark.parametrize("target", ["users:app", "users", "users.py:app", "users.py", "users:create_users"])
def test_a_target_is_served_and_told_with_a_line_that_works(users: Path, target: str) -> None:
    process = subprocess.Popen(
        [GRISTMILL, "serve", target, "--port", "0"],
        cwd=users,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        shown = ""
        while "Try it" not in shown:
            shown = process.stdout.readline()
            assert shown
        curl, url, _, header, _, data = shlex.split(process.stdout.readline())
        assert curl == "curl"
        connection = http.client.HTTPConnection(url.split("/")[2], timeout=240)
        connection.request(
            "POST", url.partition("/v1")[1] + url.partition("/v1")[2], data, dict([header.split(": ")])
        )
        assert connection.getresponse().read() == b'"Ada Lovelace"'
        connection.close()
    finally:
        process.terminate()
        assert process.wait(timeout=240) == 0
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--host", "127.0.0.1"), 200),
        (("--host", "127.0.0.1", "--no-inner-pages"), 404),
        (("--host", "0.0.0.0"), 404),  # noqa: S104 - the address is the point
        (("--host", "0.0.0.0", "--inner-pages"), 200),  # noqa: S104 - as above
    ],
)
def test_metrics_and_documents_are_for_those_on_the_machine(
    users: Path, words: tuple[str, ...], status: int
) -> None:
    command = [GRISTMILL, "serve", "users:app", "--port", "0", *words]
    process = subprocess.Popen(
        command, cwd=users, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        port = re.search(r"serves http://127.0.0.1:(\d+)", process.stdout.readline())
        assert port is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=240)
        found = {}
        for path in ("/metrics", "/docs", "/openapi.json", "/livez", "/readyz", "/v1/users"):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            found[path] = answer.status
        connection.close()
        inner = dict.fromkeys(("/metrics", "/docs", "/openapi.json"), status)
        assert found == {**inner, "/livez": 200, "/readyz": 200, "/v1/users": 200}
    finally:
        process.terminate()
        assert process.wait(timeout=240) == 0
        if process.stdout is not None:
            process.stdout.close()


def test_a_file_elsewhere_is_served_with_its_neighbours_importable(
    users: Path, tmp_path_factory: Any
) -> None:
    (users / "main.py").write_text("from users import app\n")
    code, out, err = gristmill("serve", str(users / "main.py:nope"), cwd=tmp_path_factory.mktemp("elsewhere"))
    assert (code, out) == (2, "")
    assert "has no 'nope'; try" in err


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nowhere:app", "no module 'nowhere'"),
        ("nowhere.py:app", "no file nowhere.py"),
        ("users:nope", "users has no 'nope'; try users:app or users:create_users"),
        ("users:number", "users:number is an int, no App and no batch handler; try users:app"),
        ("users/create:app", "'users/create' is no module name and no .py file"),
    ],
)
def test_a_target_that_is_not_there_is_one_clear_line(users: Path, target: str, text: str) -> None:
    code, out, err = gristmill("serve", target, cwd=users)
    assert (code, out) == (2, "")
    assert err.startswith("gristmill: error: ")
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("target", ["broken:app", "broken.py:app"])
def test_a_failing_import_shows_the_users_own_frames(tmp_path: Path, target: str) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_at_all\n")
    code, _, err = gristmill("serve", target, cwd=tmp_path)
    assert code == 2
    assert 'broken.py", line 1' in err
    assert "importlib" not in err
    assert "target.py" not in err
    assert err.splitlines()[-1].startswith("gristmill: error: importing broken")
    assert "No module named 'no_such_module_at_all'" in err


def test_a_handler_that_takes_no_list_is_told_what_to_do(tmp_path: Path) -> None:
    text = "from gristmill import batch\n@batch()\nasync def f(item: int) -> int: ...\n"
    (tmp_path / "wrong.py").write_text(text)
    code, _, err = gristmill("serve", "wrong:f", cwd=tmp_path)
    assert code == 2
    assert "list" in err
    assert err.count("\n") == 1


def test_a_taken_port_is_one_clear_line(users: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = gristmill("serve", "users:app", "--port", str(port), cwd=users)
    assert code == 2
    assert err == f"gristmill: error: port {port} of 127.0.0.1 is taken; choose another with --port\n"


def test_a_folder_of_files_that_is_none_is_one_clear_line(users: Path) -> None:
    code, _, err = gristmill("serve", "users:app", "--files", "nothing", cwd=users)
    assert (code, err) == (2, "gristmill: error: files= is a folder that is there, not 'nothing'\n")


@pytest.mark.parametrize("host", ["192.0.2.1", "two..dots", "x" * 64])
def test_a_host_that_does_not_exist_is_one_clear_line(users: Path, host: str) -> None:
    code, _, err = gristmill("serve", "users:app", "--host", host, cwd=users)
    assert code == 2
    assert err.startswith(f"gristmill: error: cannot listen on {host}")
    assert err.count("\n") == 1


def test_the_version_is_told(tmp_path: Path) -> None:
    code, out, _ = gristmill("--version", cwd=tmp_path)
    assert code == 0
    assert re.fullmatch(r"gristmill \d+\.\d+\.\d+\S*\n", out)


def test_answers_do_not_name_the_server_software(start: Any) -> None:
    with start("gristmill", "served_app:ordinary") as server:
        answer = server.get("/livez")
        assert "server" not in answer.headers
        assert "GET /livez" not in server.log
