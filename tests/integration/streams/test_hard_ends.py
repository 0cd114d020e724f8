"""Runs that are stopped, starved, choked or killed from within, and go on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROWS = "id,text\n" + "".join(f"{number},text {number}\n" for number in range(1, 3001))
PACE = ("--chunk-bytes", "2000", "--commit-seconds", "0")


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.002)


def deadly_rows(guilty: dict[int, str]) -> str:
    return "id,text\n" + "".join(f"{number},{guilty.get(number, 'fine')}\n" for number in range(300))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_is_under_way_end_and_the_run_goes_on_later(mill: Any, number: int) -> None:
    mill.write("in.csv", ROWS)
    words = ("gated", "in.csv", "-o", "out.csv", "--workers", "1", *PACE)
    process = mill.start(*words)
    wait_for(mill.folder / "begun-1")
    process.send_signal(number)
    (mill.folder / "gate").touch()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 128 + number, said.decode()
    assert b"run the same command to go on" in said
    done = (mill.folder / "out.csv.partial").read_text()
    assert done.startswith("id,text\n1,text 1\n")
    assert len(done) < len(ROWS)
    assert mill.run(*words).code == 0
    assert (mill.folder / "out.csv").read_text() == ROWS


def test_a_second_signal_does_not_wait(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    process = mill.start("gated", "in.csv", "-o", "out.csv", "--workers", "1", *PACE)
    wait_for(mill.folder / "begun-1")
    assert until_it_ends(process, signal.SIGTERM) == 143
    assert (mill.folder / "out.csv.partial").read_text() == ""
    (mill.folder / "gate").touch()
    mill.go("gated", "in.csv", "-o", "out.csv")
    assert (mill.folder / "out.csv").read_text() == ROWS


def until_it_ends(process: subprocess.Popen[bytes], number: int) -> int:
    """Signal a process until it ends, with more time between than within which two signals count as one."""
    while process.poll() is None:
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
    process.communicate()
    return process.returncode


def test_one_signal_ends_a_run_that_waits_for_its_input(mill: Any) -> None:
    process = mill.start(
        "same", "-", "--input-format", "csv", "-o", "out.csv", "--workers", "1", "--chunk-bytes", "64",
        stdin=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(b"id,text\n" + b"1,a\n" * 30_000)
    process.stdin.flush()
    wait_for(mill.folder / "out.csv.journal")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=240) == 143
    process.communicate()


def test_one_signal_ends_a_run_that_waits_for_the_first_byte(mill: Any) -> None:
    process = mill.start("same", "-", "--input-format", "csv", "-o", "out.csv", stdin=subprocess.PIPE)
    status = Path(f"/proc/{process.pid}/status")
    caught = 1 << (signal.SIGTERM - 1)
    while not any(
        line.startswith("SigCgt") and int(line.split()[1], 16) & caught
        for line in status.read_text().splitlines()
    ):
        time.sleep(0.01)
    assert until_it_ends(process, signal.SIGTERM) == 143
    assert list(mill.folder.iterdir()) == []


def test_rows_that_kill_their_worker_are_found_and_no_other_is_blamed(mill: Any) -> None:
    guilty = {7: "segfault", 8: "kill", 299: "exit"}
    mill.write("in.csv", deadly_rows(guilty))
    ran = mill.run("deadly", "in.csv", "-o", "out.csv", "--workers", "2", "--chunk-bytes", "1000")
    assert ran.code == 3, ran.said
    assert [int(row["id"]) for row in mill.read()] == [n for n in range(300) if n not in guilty]
    letters = mill.letters()
    assert [(int(each["item"]["id"]), each["row"]) for each in letters] == [(n, n + 1) for n in guilty]
    assert {(each["stage"], each["code"], each["attempts"]) for each in letters} == {("crash", "crashed", 3)}
    assert ["SIGSEGV" in letters[0]["message"], "SIGKILL" in letters[1]["message"]] == [True, True]
    deaths = re.search(r"(\d+) workers died", ran.said)
    assert deaths is not None
    assert int(deaths[1]) <= len(guilty) * 5  # of a batch, of a part of it, and three times alone


def test_a_row_that_hangs_is_found_by_the_timeout_of_its_handler(mill: Any) -> None:
    mill.write("in.csv", deadly_rows({33: "hang"}))
    ran = mill.run("hanging", "in.csv", "-o", "out.csv", "--workers", "2")
    assert ran.code == 3, ran.said
    assert [int(row["id"]) for row in mill.read()] == [n for n in range(300) if n != 33]
    (letter,) = mill.letters()
    assert (letter["stage"], letter["code"], letter["item"]["id"]) == ("crash", "deadline_exceeded", "33")
    assert "more than 0.3 s" in letter["message"]


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of *size* bytes; skips where this user may not have one."""
    place = folder / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("only root may mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(
    ("name", "workers"), [("out.csv", 0), ("out.ndjson", 0), ("out.csv.gz", 2), ("out.parquet", 0)]
)
def test_a_full_disk_stops_the_run_which_goes_on_once_there_is_room(
    mill: Any, name: str, workers: int
) -> None:
    many = "id,text\n" + "".join(f"{n},{os.urandom(40).hex()}\n" for n in range(20_000))
    mill.write("in.csv", many)
    output = f"small/{name}"
    words = ("same", "in.csv", "-o", output, "--chunk-bytes", "30000", "--commit-seconds", "0")
    run = mill.go if not workers else mill.end
    with small_disk(mill.folder, 600_000) as disk:
        for _ in range(2):
            said = run(*words, code=74)
            assert "No space left on device" in said
            assert "run the same command to go on" in said
            assert (disk / f"{name}.partial").stat().st_size
        subprocess.run(["mount", "-o", "remount,size=20000000", str(disk)], check=True)
        run(*words)
        mill.go("same", output, "-o", "again.csv")
        assert (mill.folder / "again.csv").read_text() == many


@pytest.mark.parametrize("full", ["journal", "letters"])
def test_a_full_disk_for_the_journal_or_the_dead_letters_is_as_fatal(mill: Any, full: str) -> None:
    mill.write("in.csv", "id,text\n" + "".join(f"{n},{'x' * 40}\n" for n in range(1, 5001)))
    size = 16_384 if full == "journal" else 100_000
    with small_disk(mill.folder, size) as disk:
        if full == "journal":
            mill.write("out.csv.partial", "")
            words = ["odd", "in.csv", "-o", "small/out.csv", "--dead-letter", "dead.ndjson"]
            (disk / "out.csv.partial").symlink_to(mill.folder / "out.csv.partial")
        else:
            words = ["odd", "in.csv", "-o", "out.csv", "--dead-letter", "small/dead.ndjson"]
        words += ["--chunk-bytes", "500", "--commit-seconds", "0"]
        said = mill.go(*words, code=74)
        assert "No space left on device" in said
        if full == "letters":
            assert "small/dead.ndjson cannot be written" in said
        subprocess.run(["mount", "-o", "remount,size=20000000", str(disk)], check=True)
        mill.go(*words, code=3)
        output = (
            "out.csv.partial" if full == "journal" else "out.csv"
        )  # the name moved, the link's target stayed
        assert [int(row["id"]) for row in mill.read(output)] == list(range(1, 5001, 2))
        letters = mill.letters("dead.ndjson" if full == "journal" else "small/dead.ndjson")
        assert [int(each["item"]["id"]) for each in letters] == list(range(2, 5001, 2))


def test_a_limit_of_the_size_of_files_is_a_full_disk_too(mill: Any) -> None:
    mill.write("in.csv", ROWS * 3)
    words = ("same", "in.csv", "-o", "out.csv", "--workers", "0", *PACE)
    process = mill.start(
        *words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    )
    _, said = process.communicate(timeout=240)
    assert process.returncode == 74, said.decode()
    assert b"File too large" in said
    mill.go(*words[:4], *PACE)
    assert (mill.folder / "out.csv").read_text() == ROWS * 3


@pytest.mark.parametrize("limit", ["100", "2%"])
def test_too_many_failures_stop_the_run_which_goes_on_with_another_limit(mill: Any, limit: str) -> None:
    mill.write("in.csv", ROWS)
    said = mill.go("odd", "in.csv", "-o", "out.csv", "--max-failures", limit, *PACE, code=75)
    assert "--max-failures to go on" in said
    before = (mill.folder / "out.csv.partial").read_bytes()
    assert 0 < len(before) < len(ROWS) / 2
    mill.go("odd", "in.csv", "-o", "out.csv", "--max-failures", limit, *PACE, code=75)
    assert (mill.folder / "out.csv.partial").read_bytes() == before  # the same limit does not creep on
    mill.go("odd", "in.csv", "-o", "out.csv", "--max-failures", "50%", *PACE, code=3)
    assert [int(row["id"]) for row in mill.read()] == list(range(1, 3001, 2))
    assert len(mill.letters()) == 1500


@pytest.mark.parametrize(("limit", "code"), [("0", 75), ("1499", 75), ("1500", 3), ("49.9%", 75), ("50%", 3)])
def test_a_limit_of_failures_is_exact(mill: Any, limit: str, code: int) -> None:
    mill.write("in.csv", ROWS)
    mill.go("odd", "in.csv", "-o", "out.csv", "--max-failures", limit, code=code)


@pytest.mark.parametrize("limit", ["-1", "x", "101%", "nan%", "1.5"])
def test_a_limit_of_failures_that_is_none_is_refused_at_once(mill: Any, limit: str) -> None:
    mill.write("in.csv", ROWS)
    said = mill.go("odd", "in.csv", "-o", "out.csv", f"--max-failures={limit}", code=2)
    assert "as 1%" in said
    assert not list(mill.folder.glob("out*"))


def test_rows_out_of_order_are_all_there(mill: Any) -> None:
    mill.write("a.csv", ROWS)
    mill.write("b.csv", ROWS)
    ran = mill.run("odd", "a.csv", "b.csv", "-o", "out.csv", "--unordered", "--workers", "2", *PACE)
    assert ran.code == 3, ran.said
    assert sorted(int(row["id"]) for row in mill.read()) == sorted([*range(1, 3001, 2)] * 2)
    text = ROWS.encode()
    for letter in mill.letters():
        assert text[letter["start"] :].startswith(b"%s," % letter["item"]["id"].encode())


def test_standard_input_goes_through_to_standard_output(mill: Any) -> None:
    words = ("--input-format", "csv", "--workers", "2", "--chunk-bytes", "3000")
    ran = mill.run("same", "-", "-o", "-", *words, text=ROWS.encode())
    assert ran.code == 0, ran.said
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == [str(n) for n in range(1, 3001)]
    ran = mill.run("loud", "-", "-o", "-", "--output-format", "csv", *words, text=ROWS.encode())
    assert ran.out == ROWS.encode()  # and nothing that the handler prints
    assert "something is printed" in ran.said


def test_standard_input_says_no_format_and_is_alone(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    assert "--input-format" in mill.run("same", "-", "-o", "out.csv", text=b"").said
    ran = mill.run("same", "-", "in.csv", "-o", "out.csv", "--input-format", "csv", text=b"")
    assert (ran.code, "give it alone" in ran.said) == (65, True)


def test_a_killed_run_over_standard_input_goes_on_with_the_same_input(mill: Any) -> None:
    words = ("odd", "-", "--input-format", "csv", "-o", "out.csv", "--workers", "0", *PACE)
    assert mill.run(*words, "--max-failures", "100", text=ROWS.encode()).code == 75
    ran = mill.run(*words, text=b"id,text\n1,x\n")
    assert (ran.code, "the input ended after" in ran.said) == (65, True)
    assert mill.run(*words, text=ROWS.encode()).code == 3
    assert [int(row["id"]) for row in mill.read()] == list(range(1, 3001, 2))


def test_a_reader_that_goes_away_ends_the_run_without_a_traceback(mill: Any) -> None:
    mill.write("in.csv", ROWS * 50)
    process = mill.start("same", "in.csv", "-o", "-", "--workers", "0")
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read().decode()
    assert process.wait(timeout=240) == 74
    assert "standard output cannot be written: Broken pipe; what is on standard output is not all" in said
    assert "run the same command" not in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def memory(pid: int) -> int:
    """Bytes of a process and its children that are in memory and theirs alone."""
    total = 0
    for each in family(pid):
        try:
            resident, shared = map(int, Path(f"/proc/{each}/statm").read_text().split()[1:3])
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    return total


LINE = b"1234567," + b"x" * 991 + b"\n"


def feed(pipe: Any, megabytes: int) -> None:
    pipe.write(b"id,text\n")
    for _ in range(megabytes):
        pipe.write(LINE * 1000)
    pipe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_input(mill: Any) -> None:
    words = ("same", "-", "--input-format", "csv", "-o", "-", "--workers", "2")
    process = mill.start(*words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    feeding = threading.Thread(target=feed, args=(process.stdin, 300))
    feeding.start()
    most = 0
    while process.poll() is None:
        most = max(most, memory(process.pid))
        time.sleep(0.05)
    feeding.join()
    with process.stderr:
        assert process.returncode == 0, process.stderr.read()
    assert most < 200e6


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_while_nobody_reads_the_output(mill: Any) -> None:
    process = mill.start(
        "same", "-", "--input-format", "csv", "-o", "-", "--output-format", "csv", "--workers", "2",
        stdin=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(b"id,text\n")
    process.stdin.flush()
    os.set_blocking(process.stdin.fileno(), False)
    block = memoryview(LINE * 65)
    written = still = 0
    while still < 40:  # until it has taken nothing for two seconds
        try:
            written += os.write(process.stdin.fileno(), block[written % len(LINE) :])
            still = 0
        except BlockingIOError:
            still += 1
            time.sleep(0.05)
    assert memory(process.pid) < 200e6
    assert written < 40e6
    process.kill()
    process.communicate()


@pytest.mark.parametrize("handler", ["exiting", "exiting_later", "column_mill:exiting"])
def test_a_handler_that_calls_exit_fails_its_rows_and_no_others(mill: Any, handler: str) -> None:
    mill.write("in.csv", deadly_rows({70: "exit", 200: "exit"}))
    mill.go(handler, "in.csv", "-o", "out.csv", *PACE, code=3)
    assert [int(row["id"]) for row in mill.read()] == [each for each in range(300) if each not in (70, 200)]
    assert [(letter["row"], letter["message"]) for letter in mill.letters()] == [
        (row, "HandlerExit: the handler called sys.exit(5)") for row in (71, 201)
    ]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_a_handler_raises_that_is_no_exception_fails_its_rows(mill: Any, workers: str) -> None:
    mill.write("in.csv", deadly_rows({70: "exit"}))
    ran = mill.run("panicking", "in.csv", "-o", "out.csv", "--workers", workers, *PACE)
    assert ran.code == 3, ran.said
    assert [int(row["id"]) for row in mill.read()] == [each for each in range(300) if each != 70]
    ((letter),) = mill.letters()
    assert (letter["row"], letter["message"]) == (
        71,
        "HandlerExit: the handler raised Panic: index out of bounds",
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_handler_that_ends_the_run_leaves_it_to_be_resumed(mill: Any, workers: str) -> None:
    mill.write("in.csv", deadly_rows({200: "exit"}))
    ran = mill.run("ending", "in.csv", "-o", "out.csv", "--workers", workers, *PACE)
    assert ran.code == 75, ran.said
    assert ran.said.startswith("gristmill: error: the licence server is away; what was committed is safe")
    assert not mill.letters()


def test_a_module_that_ends_the_worker_that_imports_it_is_told(mill: Any) -> None:
    mill.write("in.csv", ROWS)
    mill.write(
        "leaves.py",
        "import multiprocessing, sys\n"
        "from gristmill import batch\n"
        "if multiprocessing.parent_process() is not None: sys.exit(5)\n"
        "@batch\n"
        "def same(rows: list[dict]) -> list[dict]:\n"
        "    return rows\n",
    )
    assert "sys.exit(5) where it imports the handler" in mill.end(
        "leaves:same", "in.csv", "-o", "out.csv", code=75
    )


def test_an_error_of_many_rows_is_logged_once(mill: Any) -> None:
    mill.write("in.csv", deadly_rows(dict.fromkeys(range(0, 300, 20), "poison")))
    ran = mill.run("poisoned", "in.csv", "-o", "out.csv", "--workers", "1", *PACE)
    assert ran.code == 3, ran.said
    assert len(mill.letters()) == 15
    assert ran.said.count("Traceback") == 1
