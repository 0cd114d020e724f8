"""The JSON that commands print with ``--json``; its members stay what they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import msgspec
import typer

from gristmill.cli.show.times import rfc3339
from gristmill.model.job import Job, JobPage
from gristmill.model.queue import DeadGroup, QueueStatus
from gristmill.queue.reading import ItemResult


def print_document(document: Any) -> None:
    """Print *document* as one line of JSON."""
    typer.echo(msgspec.json.encode(document))


def job_document(job: Job) -> dict[str, Any]:
    """Return a job as it stands."""
    return {
        "id": job.id,
        "handler": job.queue,
        "state": job.state,
        "priority": job.priority,
        "created_at": rfc3339(job.created_at),
        "due_at": rfc3339(job.due_at),
        "finished_at": rfc3339(job.finished_at),
        "counts": asdict(job.counts),
    }


def page_document(page: JobPage) -> dict[str, Any]:
    """Return some jobs, and the cursor of the next ones."""
    return {"jobs": [job_document(job) for job in page.jobs], "cursor": page.cursor}


def dead_document(groups: Iterable[DeadGroup]) -> list[dict[str, Any]]:
    """Return groups of dead items."""
    return [
        {
            "handler": group.queue,
            "code": group.code,
            "items": group.items,
            "first_at": rfc3339(group.first_at),
            "last_at": rfc3339(group.last_at),
            "error": group.error,
        }
        for group in groups
    ]


def queues_document(queues: Iterable[QueueStatus]) -> list[dict[str, Any]]:
    """Return how queues stand."""
    return [
        {
            "handler": queue.name,
            "paused": queue.is_paused,
            "ready": queue.ready,
            "scheduled": queue.scheduled,
            "blocked": queue.blocked,
            "running": queue.running,
            "dead": queue.dead,
            "oldest_age_s": round(queue.oldest_age, 3),
        }
        for queue in queues
    ]


def result_document(item: ItemResult) -> dict[str, Any]:
    """Return the outcome of one item; the value is there if it succeeded, the failure if it failed."""
    document: dict[str, Any] = {"place": item.place, "kind": item.kind}
    if item.id is not None:
        document["id"] = item.id
    if item.value is not None:
        document["value"] = item.value
    if item.failure is not None:
        document["failure"] = item.failure
    document["cursor"] = item.cursor
    return document
