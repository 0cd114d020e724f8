from __future__ import annotations

import datetime as dt
import io
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gristmill.cli.commands import app as command
from gristmill.cli.jobs.lines import ItemLines


def test_each_line_of_a_file_is_an_item(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "mails.ndjson").write_text('\ufeff"a"\n\n  "b" \r\n"c"')
    result = shop.run("enqueue", "mails", "mails.ndjson")
    assert result.exit_code == 0
    job = result.stdout.split()[0]
    assert result.stdout == f"{job} has 3 items for mails\n"
    assert shop.job(job).counts.queued == 3


def test_standard_input_is_a_dash_and_the_options_reach_the_job(shop: Any) -> None:
    words = ("--priority", "0", "--delay", "60", "--key", "k", "--unique", "u", "--json")
    result = shop.run("enqueue", "mails", "-", *words, input='"a"\n')
    (job,) = shop.json("list")["jobs"]
    assert result.stdout == f'{{"id":"{job["id"]}","created":true}}\n'
    assert job["priority"] == 0
    assert shop.job(job["id"]).due_at == shop.now + 60


def test_a_unique_key_that_is_held_is_answered_with_its_job(shop: Any, tmp_path: Path) -> None:
    first = shop.run("enqueue", "mails", "-", "--unique", "u", input='"a"\n').stdout.split()[0]
    (tmp_path / "same.ndjson").write_text('"a"\n')
    second = shop.run("enqueue", "mails", "same.ndjson", "--unique", "u")
    assert (second.exit_code, second.stdout) == (
        0,
        f"{first} holds the key 'u' already; nothing was stored\n",
    )
    assert shop.job(first).counts.total == 1


@pytest.mark.parametrize("length", [1, 100_000])
def test_other_items_under_a_unique_key_that_is_held_are_refused(shop: Any, length: int) -> None:
    lines = f'"{"a" * length}"\n' * 20
    first = shop.run("enqueue", "mails", "-", "--unique", "u", input=lines).stdout.split()[0]
    second = shop.run("enqueue", "mails", "-", "--unique", "u", input=lines + '"b"\n')
    assert (second.exit_code, second.stdout) == (1, "")
    assert second.stderr == (
        f"gristmill: error: job {first} holds the key 'u' for something else; nothing was stored\n"
    )
    assert shop.job(first).counts.total == 20
    assert len(shop.json("list")["jobs"]) == 1


@pytest.mark.parametrize("line", ["5", "nonsense", '"a" "b"', '"half'])
def test_a_bad_line_is_named_and_nothing_is_stored(shop: Any, line: str) -> None:
    result = shop.run("enqueue", "mails", "-", input=f'"a"\n\n{line}\n"c"\n')
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: line 3: item 1 cannot be an item of mails" in result.stderr
    assert "nothing was stored" in result.stderr
    assert shop.json("list")["jobs"] == []


def test_a_store_that_ends_with_the_command_takes_no_job(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "brief.py").write_text(
        "from gristmill import App, batch\n\n\n@batch\nasync def echo(items: list[str]) -> list[str]:\n"
        "    return items\n\n\napp = App(handlers=[echo], store='memory://')\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["jobs", "enqueue", "echo", "-", "--app", "brief.py:app"]
    result = CliRunner().invoke(command, words, input='"a"\n')
    assert (result.exit_code, result.stdout) == (2, "")
    assert "memory:// is in this process: the job would be gone with it" in result.stderr


def test_an_unknown_handler_or_file_is_told(shop: Any) -> None:
    result = shop.run("enqueue", "nope", "-", input="")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "gristmill: error: there is no handler 'nope'; there are: mails, numbers\n"
    result = shop.run("enqueue", "mails", "nope.ndjson")
    assert (result.exit_code, result.stderr) == (
        2,
        "gristmill: error: cannot read nope.ndjson: No such file or directory\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--priority", "10"),
        ("--delay", "-1"),
        ("--delay", "2w"),
        ("--delay", "nan"),
        ("--priority", "x"),
        ("--run-at", "soon"),
        ("--run-at", "2h"),
        ("--run-at", "2030-01-31", "--delay", "1"),
    ],
)
def test_options_out_of_range_are_refused(shop: Any, words: tuple[str, ...]) -> None:
    assert shop.run("enqueue", "mails", "-", *words, input='"a"\n').exit_code == 2
    assert shop.json("list")["jobs"] == []


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5", 1.5), ("30m", 1800), ("2h", 7200)])
def test_a_delay_may_have_a_unit(shop: Any, text: str, seconds: float) -> None:
    job = shop.run("enqueue", "mails", "-", "--delay", text, input='"a"\n').stdout.split()[0]
    assert shop.job(job).due_at == shop.now + seconds


def test_a_job_may_be_due_at_a_time(shop: Any) -> None:
    at = "2100-01-31T12:00:00+00:00"
    job = shop.run("enqueue", "mails", "-", "--run-at", at, input='"a"\n').stdout.split()[0]
    assert shop.job(job).due_at == dt.datetime.fromisoformat(at).timestamp()


def test_lines_are_counted_with_the_blank_ones() -> None:
    lines = ItemLines(io.BytesIO(b"\n1\n2\n\n\n3\n\n"))
    assert [bytes(each) for each in lines] == [b"1", b"2", b"3"]
    assert [lines.line_of(item) for item in range(3)] == [2, 3, 6]
    assert lines.items == 3


def test_ctrl_c_ends_a_read_that_waits_and_is_as_before_between_lines() -> None:
    def waiting() -> Iterator[bytes]:
        yield b"1"
        signal.raise_signal(signal.SIGINT)
        yield b"2"

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        items = iter(ItemLines(waiting()))
        assert bytes(next(items)) == b"1"
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            next(items)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_leaves_signals_alone() -> None:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.extend(map(bytes, ItemLines([b"1"]))))
    thread.start()
    thread.join()
    assert found == [b"1"]


@pytest.mark.parametrize("option", ["--key", "--unique"])
def test_a_key_that_is_no_text_is_wrong_usage(shop: Any, option: str) -> None:
    result = shop.run("enqueue", "mails", "-", option, "\udcff", input='"a"\n')
    assert result.exit_code == 2
    assert "half a surrogate pair in it, which no store can hold: '\\udcff'" in result.stderr
    assert shop.json("list")["jobs"] == []


@pytest.mark.parametrize("command", ["show", "cancel", "results", "retry", "delete"])
def test_a_job_of_an_id_that_is_no_text_is_not_there(shop: Any, command: str) -> None:
    shop.run("enqueue", "mails", "-", input='"a"\n')
    result = shop.run(command, "\udcff")
    assert (result.exit_code, result.stderr) == (1, "gristmill: error: there is no job \\udcff\n")


@pytest.mark.parametrize(
    "words", [("list", "--handler"), ("dead", "--code"), ("dead", "--job"), ("redrive", "--yes", "--code")]
)
def test_a_filter_that_is_no_text_is_wrong_usage(shop: Any, words: tuple[str, ...]) -> None:
    shop.run("enqueue", "mails", "-", input='"a"\n')
    result = shop.run(*words, "\udcff")
    assert result.exit_code == 2
    assert "has half a surrogate pair in it" in result.stderr
