from __future__ import annotations

from typing import Any


def test_jobs_are_listed_newest_first_in_80_columns(shop: Any) -> None:
    first = shop.done(["a", "x"])
    shop.now += 90
    second = shop.enqueue(["b"] * 4)
    result = shop.run("list")
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["JOB", "HANDLER", "STATE", "ITEMS", "DONE", "FAILED", "AGE"]
    assert [line.split() for line in lines] == [
        [second, "mails", "queued", "4", "0%", "0", "0s"],
        [first, "mails", "completed", "2", "100%", "1", "1m"],
    ]
    assert "\x1b" not in result.output


def test_jobs_are_chosen_by_handler_and_state(shop: Any) -> None:
    done, waiting = shop.done(["a"]), shop.enqueue([1], "numbers")
    assert [job["id"] for job in shop.json("list", "--state", "completed")["jobs"]] == [done]
    assert [job["id"] for job in shop.json("list", "--handler", "numbers")["jobs"]] == [waiting]
    assert shop.run("list", "--state", "nonsense").exit_code == 2


def test_a_long_list_goes_on_where_it_was_cut(shop: Any) -> None:
    ids = [shop.enqueue(["a"]) for _ in range(3)]
    page = shop.json("list", "--limit", "2")
    assert [job["id"] for job in page["jobs"]] == [ids[2], ids[1]]
    shown = shop.run("list", "--limit", "2")
    assert shown.stderr == f"There are more: --cursor {page['cursor']}\n"
    rest = shop.json("list", "--cursor", page["cursor"])
    assert [job["id"] for job in rest["jobs"]] == [ids[0]]
    assert rest["cursor"] is None


def test_a_document_says_all_of_a_job(shop: Any) -> None:
    job = shop.enqueue(["a"])
    assert shop.json("list")["jobs"] == [
        {
            "id": job,
            "handler": "mails",
            "state": "queued",
            "priority": 4,
            "created_at": "2027-01-15T08:00:00.000Z",
            "due_at": "2027-01-15T08:00:00.000Z",
            "finished_at": None,
            "counts": {"total": 1, "queued": 1, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0},
        }
    ]


def test_no_jobs_are_no_table(shop: Any) -> None:
    result = shop.run("list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no jobs\n")
