"""``retry``, ``cancel``, ``delete``, ``pause`` and ``resume``."""

from __future__ import annotations

from typing import Any

import pytest


def test_retry_lets_the_failed_items_run_again(shop: Any) -> None:
    job = shop.done(["a", "x"])
    result = shop.run("retry", job)
    assert (result.exit_code, result.stdout) == (0, f"1 items of {job} run again\n")
    assert shop.job(job).counts.queued == 1
    assert shop.json("retry", job) == {"id": job, "redriven": 0}


def test_cancel_takes_what_does_not_run(shop: Any) -> None:
    job = shop.enqueue(["a", "b"])
    result = shop.run("cancel", job)
    assert (result.exit_code, result.stdout) == (0, f"{job} is cancelled: 2 of 2 items are cancelled\n")


def test_single_items_can_be_cancelled(shop: Any) -> None:
    job = shop.enqueue(["a", "b", "c"])
    found = shop.json("cancel", job, "--item", "0", "--item", "2")
    assert (found["state"], found["counts"]["cancelled"], found["counts"]["queued"]) == ("running", 2, 1)


def test_an_item_that_the_job_does_not_have_is_a_failure(shop: Any) -> None:
    job = shop.enqueue(["a", "b"])
    result = shop.run("cancel", job, "--item", "0", "--item", "2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"gristmill: error: {job} has no item 2: it has 2, the first is 0\n"
    assert shop.job(job).counts.cancelled == 0


def test_delete_removes_a_final_job_only(shop: Any) -> None:
    waiting, done = shop.enqueue(["a"], delay=60), shop.done(["b"])
    result = shop.run("delete", waiting)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is not final" in result.stderr
    assert shop.run("delete", done).stdout == f"{done} is deleted\n"
    assert [job["id"] for job in shop.json("list")["jobs"]] == [waiting]


def test_delete_says_so_as_json(shop: Any) -> None:
    job = shop.done(["a"])
    assert shop.json("delete", job) == {"id": job, "deleted": True}


@pytest.mark.parametrize("command", ["retry", "cancel", "delete"])
def test_a_job_that_is_not_there_is_a_failure(shop: Any, command: str) -> None:
    result = shop.run(command, "job_nope")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "gristmill: error: there is no job job_nope\n"


def test_a_queue_is_paused_and_worked_again(shop: Any) -> None:
    assert shop.run("pause", "mails").stdout == "the queue of mails is paused\n"
    assert shop.json("queues")["queues"][0]["paused"] is True
    assert shop.run("resume", "mails").stdout == "the queue of mails is worked again\n"
    assert shop.json("queues")["queues"][0]["paused"] is False
    assert shop.json("pause", "mails") == {"handler": "mails", "paused": True}


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_queue_of_no_handler_is_refused(shop: Any, command: str) -> None:
    result = shop.run(command, "nope")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no handler 'nope'; there are: mails, numbers" in result.stderr
