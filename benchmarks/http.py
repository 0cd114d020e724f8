"""Load over HTTP, shared by the HTTP benchmarks: check a peer's answers, warm it up, measure it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from benchmarks import load
from benchmarks.generator import answers_to
from benchmarks.measure import Passes, Report, Sample, Settings, interleave, spread
from benchmarks.postgres import Database
from benchmarks.processes import Running, Server

CHECKED = 2000


class WrongAnswer(RuntimeError):
    """A peer answered with something else than it was asked, or stored something else than it answered."""


def new_user(number: int) -> dict[str, str]:
    return {"name": f"User {number}", "email": f"user{number}@example.com"}


def users_of(answer: bytes) -> list[dict]:
    """The users in an answer: one user, a list of them, or Gristmill's envelope of a batch."""
    found = json.loads(answer)
    if isinstance(found, list):
        return found
    if "items" in found:
        assert found["errors"] is False, found
        return [entry["result"] for entry in found["items"]]
    return [found]


def check(entry: Running, database: Database | None, *, items: int = 1, envelope: bool = False) -> None:
    """Distinct users in, each answered once with a distinct id, and the table holds exactly these."""
    wanted = [new_user(number) for number in range(CHECKED)]
    bodies = [
        body_of(wanted[start : start + items], single=items == 1, envelope=envelope)
        for start in range(0, CHECKED, items)
    ]
    if database:
        database.truncate()
    connections = min(64, len(bodies))
    answered = [user for answer in answers_to(entry.url, bodies, connections) for user in users_of(answer)]
    by_id = {user["id"]: user["email"] for user in answered}
    if len(by_id) != CHECKED or sorted(by_id.values()) != sorted(user["email"] for user in wanted):
        raise WrongAnswer(f"{entry.server.name} answered {len(by_id)} distinct users of {CHECKED}")
    if any(user["name"] != f"User {user['email'].split('@')[0].removeprefix('user')}" for user in answered):
        raise WrongAnswer(f"{entry.server.name} mixed up the fields of its users")
    if database and database.stored() != by_id:
        raise WrongAnswer(f"{entry.server.name} stored {database.rows()} rows that differ from its answers")


def body_of(users: Sequence[dict[str, str]], *, single: bool, envelope: bool) -> bytes:
    if single:
        return json.dumps(users[0]).encode()
    if envelope:
        return json.dumps({"items": [{"data": user} for user in users]}).encode()
    return json.dumps(users).encode()


def posted(entry: Running, body: bytes, connections: int, seconds: float) -> Sample:
    """Load *entry*; a failure says what the server said last."""
    try:
        return load.post(entry.url, body, connections=connections, seconds=seconds)
    except load.LoadFailed as failure:
        raise load.LoadFailed(f"{entry.server.name}: {failure}\n{entry.said}") from failure


def measure(
    entry: Running,
    body: bytes,
    database: Database | None,
    *,
    connections: int,
    seconds: float,
    items: int = 1,
) -> Sample:
    """One run of the load; with a database, its rows must be the answers, plus those still under way."""
    if database:
        database.truncate()
    found = dict(posted(entry, body, connections, seconds))
    found["rate"] *= items
    found["megabytes"] = entry.resident_megabytes()
    if database:
        answered, rows = int(found["answers"]) * items, database.rows_at_rest()
        if not answered <= rows <= answered + connections * items:
            raise WrongAnswer(f"{entry.server.name} answered {answered} items and stored {rows}")
    return found


def warm_up(
    entries: Iterable[Running],
    bodies: dict[str, bytes],
    database: Database | None,
    connections: int,
    seconds: float,
) -> None:
    for entry in entries:
        posted(entry, bodies[entry.server.name], connections, seconds)
        if database:
            database.rows_at_rest()


def interleaved(
    entries: dict[str, Running],
    bodies: dict[str, bytes],
    database: Database | None,
    settings: Settings,
    *,
    connections: int,
    items: int = 1,
) -> Passes:
    """All servers in turn, `settings.passes` times."""

    def one(entry: Running) -> Sample:
        return measure(
            entry,
            bodies[entry.server.name],
            database,
            connections=connections,
            seconds=settings.seconds,
            items=items,
        )

    return interleave({name: lambda e=entry: one(e) for name, entry in entries.items()}, settings.passes)


def chosen(servers: Iterable[Server], settings: Settings) -> list[Server]:
    return [server for server in servers if settings.wants(server.name)]


COLUMNS = ("load", "server", "items/s", "p50 ms", "p99 ms", "RSS MB")


def tabulate(report: Report, title: str, taken: Passes) -> None:
    """One row per server, and the samples for the JSON file."""
    report.samples[title] = taken
    for name in taken:
        row = (f"{spread(taken, name, 'rate'):.0f}", f"{spread(taken, name, 'p50'):.1f}")
        row += (f"{spread(taken, name, 'p99'):.1f}", f"{spread(taken, name, 'megabytes').highest:.0f}")
        report.rows.append((title, name, *row))
