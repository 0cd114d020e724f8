from __future__ import annotations

from typing import Any


def test_a_job_is_shown_with_its_progress_and_its_dead(shop: Any) -> None:
    job = shop.done(["a", "x", "b", "xx"])
    shop.now += 7200
    result = shop.run("show", job)
    lines = result.stdout.splitlines()
    assert lines[0] == f"{job}  mails  completed"
    assert lines[1].startswith("created ")
    assert lines[1].endswith(", 2h ago, with priority 4")
    assert lines[2].endswith(", 2h ago, after 0s")
    assert lines[3].rstrip().endswith("100%  4 of 4 items")
    assert lines[4] == "queued 0  running 0  succeeded 2  failed 2  cancelled 0"
    assert lines[6].split() == ["HANDLER", "CODE", "DEAD", "LAST", "ERROR"]
    assert lines[7].split() == ["mails", "bad", "2", "2h", "no", "?[31mx"]
    assert lines[8] == f"Run them again: gristmill jobs retry {job}"
    assert max(map(len, lines)) <= 80


def test_a_job_that_is_not_due_says_when(shop: Any) -> None:
    result = shop.run("show", shop.enqueue(["a"], delay=90))
    assert "due " in result.stdout
    assert "in 1m" in result.stdout
    assert "0%  0 of 1 items" in result.stdout
    assert "HANDLER" not in result.stdout


def test_a_job_without_items_is_done(shop: Any) -> None:
    assert "100%  0 of 0 items" in shop.run("show", shop.enqueue([])).stdout


def test_the_document_has_the_dead_beside_the_job(shop: Any) -> None:
    job = shop.done(["x"])
    found = shop.json("show", job)
    assert (found["id"], found["counts"]["failed"]) == (job, 1)
    assert found["dead"] == [
        {
            "handler": "mails",
            "code": "bad",
            "items": 1,
            "first_at": "2027-01-15T08:00:00.000Z",
            "last_at": "2027-01-15T08:00:00.000Z",
            "error": "no \x1b[31mx",
        }
    ]


def test_a_job_that_is_not_there_is_a_failure(shop: Any) -> None:
    result = shop.run("show", "job_nope")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "gristmill: error: there is no job job_nope\n"
