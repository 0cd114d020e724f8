from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gristmill import App, batch
from gristmill.errors import ConfigurationError
from gristmill.http.headers import Form
from gristmill.http.jobs.files import ServerFiles, form_of_file, open_beneath, parts_of
from gristmill.http.problems import Refused

OPEN = Path("/proc/self/fd")


@batch(name="echo")
async def echo(items: list[str]) -> list[str]:
    return items


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with good files, beside a secret and surrounded by ways to it."""
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_text("secret\n1\n")
    root = tmp_path / "root"
    (root / "in" / "deep").mkdir(parents=True)
    (root / "in" / "people.csv").write_text("a\n1\n")
    (root / "in" / "deep" / "p\u00e9ople 1:2.csv").write_text("a\n1\n")
    (root / ".env").write_text("password\n")
    (root / "to_secret.csv").symlink_to("../secret.csv")
    (root / "to_people.csv").symlink_to("in/people.csv")
    (root / "dangling.csv").symlink_to("nowhere.csv")
    (root / "to_outside").symlink_to(tmp_path / "outside")
    (root / "to_in").symlink_to("in")
    os.mkfifo(root / "pipe.csv")
    (root / "null.csv").symlink_to("/dev/null")
    return root


@pytest.fixture
def files(root: Path) -> ServerFiles:
    found = ServerFiles()
    found.serve(root)
    return found


def content(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def code(files: ServerFiles, path: str) -> str:
    with pytest.raises(Refused) as caught:
        os.close(files.open(path))
    assert len(path) < 4 or path not in repr(caught.value.problem)
    return caught.value.problem.code


def test_files_below_the_folder_are_opened(files: ServerFiles) -> None:
    assert content(files.open("in/people.csv")) == b"a\n1\n"
    assert content(files.open("in/deep/p\u00e9ople 1:2.csv")) == b"a\n1\n"


@pytest.mark.parametrize(
    "path",
    [
        "", "/", ".", "..", "../secret.csv", "in/../../secret.csv", "in/../in/people.csv", "./in/people.csv",
        "/etc/passwd", "//etc/passwd", "in//people.csv", "in/people.csv/", "in/people.csv/..", "in/.", ".env",
        "\u202ecsv", "in/.hidden", "..\\secret.csv", "in\\people.csv", "C:\\secret.csv", "\\\\host\\share",
        "in/people.csv\0",        "in/people.csv\0.txt", "in/people.csv\n", "in\r/people.csv",
        "x/" * 600 + "x", "\udcff.csv",
    ],
)  # fmt: skip
def test_a_path_that_could_leave_the_folder_is_no_path(files: ServerFiles, path: str) -> None:
    assert code(files, path) == "invalid_path"


@pytest.mark.parametrize(
    "path",
    [
        "nothing.csv", "in/nothing/people.csv", "in/people.csv/people.csv", "in", "in/deep", "pipe.csv",
        "null.csv",
        "to_secret.csv", "to_people.csv", "dangling.csv", "to_outside/secret.csv", "to_in/people.csv",
        "x" * 300, "%2e%2e/secret.csv", "~/secret.csv", "socket.csv", "$HOME",
    ],
)  # fmt: skip
def test_all_that_is_no_plain_file_inside_is_not_found(files: ServerFiles, root: Path, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        where = os.open(root, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{where}/socket.csv")  # whole paths of tests may be too long
        finally:
            os.close(where)
        assert code(files, path) == "file_not_found"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_not_found(files: ServerFiles, root: Path) -> None:
    (root / "in" / "people.csv").chmod(0)
    assert code(files, "in/people.csv") == "file_not_found"


def test_a_file_that_becomes_a_link_between_look_and_open_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, people = os.stat, root / "in" / "people.csv"

    def look_and_swap(*args: object, **options: object) -> os.stat_result:
        found = looked(*args, **options)  # type: ignore[arg-type]
        monkeypatch.undo()
        people.unlink()
        people.symlink_to("../../secret.csv")
        return found

    monkeypatch.setattr(os, "stat", look_and_swap)
    with pytest.raises(OSError, match="symbolic links"):
        os.close(open_beneath(root, ["in", "people.csv"]))


def test_a_file_that_becomes_a_pipe_between_look_and_open_neither_blocks_nor_opens(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = os.stat

    def look_and_swap(*args: object, **options: object) -> os.stat_result:
        found = looked(*args, **options)  # type: ignore[arg-type]
        monkeypatch.undo()
        (root / "pipe.csv").replace(root / "in" / "people.csv")
        return found

    monkeypatch.setattr(os, "stat", look_and_swap)
    before = len(list(OPEN.iterdir()))
    with pytest.raises(OSError, match="not a regular file"):
        open_beneath(root, ["in", "people.csv"])
    assert len(list(OPEN.iterdir())) == before


def test_a_folder_that_becomes_a_link_is_not_gone_through(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    (root.parent / "outside" / "people.csv").write_text("secret\n")

    def open_and_swap(path: object, *args: object, **options: object) -> int:
        if path == "in":
            (root / "in").rename(root / "moved")
            (root / "in").symlink_to("../outside")
        return opened(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_and_swap)
    with pytest.raises(NotADirectoryError):
        open_beneath(root, ["in", "people.csv"])


def test_what_is_no_file_is_not_even_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, names = os.open, []

    def seen(path: object, *args: object, **options: object) -> int:
        names.append(path)
        return opened(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", seen)
    with pytest.raises(OSError, match="not a regular file"):
        open_beneath(root, ["pipe.csv"])
    assert names == [root]


def test_no_descriptor_is_left_open(files: ServerFiles) -> None:
    before = len(list(OPEN.iterdir()))
    for path in ("in/people.csv/x", "in/deep", "to_in/people.csv", "pipe.csv", "nothing"):
        code(files, path)
    os.close(files.open("in/people.csv"))
    assert len(list(OPEN.iterdir())) == before


def test_without_a_folder_there_are_no_files() -> None:
    assert code(ServerFiles(), "in/people.csv") == "files_disabled"


def test_the_folder_may_be_a_link_and_is_where_it_was_when_the_server_began(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root.parent / "link").symlink_to(root)
    monkeypatch.chdir(root.parent)
    files = ServerFiles()
    files.serve("link")
    monkeypatch.chdir("/")
    assert files.folder == root
    assert content(files.open("in/people.csv")) == b"a\n1\n"


def test_a_folder_that_is_none_is_refused_when_the_app_is_made(root: Path) -> None:
    for folder in (root / "nothing", root / "in" / "people.csv"):
        with pytest.raises(ConfigurationError, match="files= is a folder"):
            App([echo], store="memory://", files=folder)
    with pytest.raises(ConfigurationError, match="needs a store"):
        App([echo], store=None, files=root)


@pytest.mark.parametrize(
    ("path", "said", "form"),
    [
        ("a.csv", None, Form.CSV), ("a.tsv.gz", None, Form.TSV), ("a.NDJSON.zst", None, Form.LINES),
        ("a.jsonl", None, Form.LINES), ("a", "csv", Form.CSV), ("a.csv", "tsv", Form.TSV),
        ("a.b", "jsonl", Form.LINES),
    ],
)  # fmt: skip
def test_the_format_is_what_is_said_or_what_the_name_says(path: str, said: str | None, form: Form) -> None:
    assert form_of_file(path, said) is form


@pytest.mark.parametrize(
    ("path", "said"), [("a", None), ("a.parquet", None), ("a.csv", "xls"), ("a.json", None)]
)
def test_a_format_that_jobs_are_not_made_of_is_refused(path: str, said: str | None) -> None:
    with pytest.raises(Refused, match="invalid_option"):
        form_of_file(path, said)


def test_parts_are_names() -> None:
    assert parts_of("in/a b.csv") == ["in", "a b.csv"]
