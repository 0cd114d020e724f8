"""One soak of one store: torment, calm, the end of all jobs, the check and the report."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.model.queue import QueueStatus
from soak.history import History, Notes, read_history
from soak.pulse import Pulse
from soak.results import Ending, Submitted, check_queues, check_results
from soak.servers import Server, server_of
from soak.submitting import Users, endings_of, insist, jobs_at, wait_for_all
from soak.times import check_times
from soak.torment import Crew, Tormentor
from soak.worker import ATTEMPTS, BEAT, LEASE, SIZE

_SHOWN = 30
_PATIENCE = 90.0
_HANDLERS_FAULT = "failed: OSError"
"""What logs say of errors that are the handler's."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What came out."""

    store: str
    seed: int
    seconds: float
    jobs: int
    items: int
    history: History
    outcomes: Counter[str]
    redrives: int
    refusals: int
    violations: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return what people read."""
        history, count = self.history, self.history.count
        cancelled = sum(run.how == "cancelled" for run in history.runs)
        lines = [
            f"{self.store}, seed {self.seed}, {self.seconds:.0f} s: {self.jobs} jobs of {self.items} items",
            f"  {history.deliveries} deliveries, {len(history.runs)} batches, {cancelled} cancelled",
            "  "
            + ", ".join(f"{number} {kind}" for kind, number in self.outcomes.items())
            + f"; {self.redrives} redrives asked for",
            f"  {count('kill')} kills, {count('freeze')} freezes, {count('term')} stops of workers",
            f"  {count('stop')} restarts of the store, {self.refusals} refusals to users",
            f"  {count('stall')} times a process got no time or no disk from the machine",
            f"  {len(self.violations)} violations",
        ]
        lines += [f"    {violation}" for violation in self.violations[:_SHOWN]]
        if len(self.violations) > _SHOWN:
            lines.append(f"    and {len(self.violations) - _SHOWN} more")
        return "\n".join(lines)


def check(
    history: History,
    submitted: Sequence[Submitted],
    endings: Mapping[str, Ending],
    queues: Sequence[QueueStatus] = (),
) -> list[str]:
    """Return all that is wrong with a history and what the store has at its end."""
    return [
        *check_results(history, submitted, endings, attempts=ATTEMPTS),
        *check_times(history, submitted, endings, lease=LEASE, size=SIZE),
        *check_queues(queues, endings),
    ]


async def soak(store: str, folder: Path, *, seconds: float, seed: int, workers: int) -> Report:
    """Soak a new store of kind *store* in *folder* and return what came out."""
    server = await asyncio.to_thread(server_of, store, folder)
    try:
        return await _Soak(store, server, folder, seconds=seconds, seed=seed, workers=workers).run()
    finally:
        await asyncio.to_thread(server.close)


class _Soak:
    def __init__(
        self, store: str, server: Server, folder: Path, *, seconds: float, seed: int, workers: int
    ) -> None:
        self._store = store
        self._folder = folder
        self._seconds = seconds
        self._seed = seed
        self._notes = Notes(folder / "history")
        self._pulse = Pulse(folder / "pulse", self._notes, None, BEAT)
        self._jobs = jobs_at(server.url)
        self._users = Users(self._jobs, seed)
        self._crew = Crew(server.url, folder, seed, workers, self._notes)
        self._tormentor = Tormentor(self._crew, server, seed, self._notes)

    async def run(self) -> Report:
        self._pulse.start()
        try:
            self._crew.start()
            until = time.monotonic() + self._seconds
            async with asyncio.TaskGroup() as group:
                group.create_task(self._users.act(until))
                group.create_task(self._tormentor.act(until))
            (self._folder / "calm").touch()
            await wait_for_all(self._jobs, self._users.submitted, _PATIENCE)
            endings = await insist(lambda: endings_of(self._jobs))
            queues = await insist(self._jobs.queues)
        finally:
            await self._crew.close()
            await self._jobs.stop()
            await asyncio.to_thread(self._pulse.stop)
            self._notes.close()
        return self._report(endings, queues)

    def _report(self, endings: Mapping[str, Ending], queues: Sequence[QueueStatus]) -> Report:
        history = read_history(self._folder / "history")
        submitted = self._users.submitted
        return Report(
            store=self._store,
            seed=self._seed,
            seconds=self._seconds,
            jobs=len(submitted),
            items=sum(job.size for job in submitted),
            history=history,
            outcomes=_outcomes(endings),
            redrives=sum(len(job.redriven_at) for job in submitted),
            refusals=self._users.refusals,
            violations=[
                *check(history, submitted, endings, queues),
                *self._crew.violations,
                *self._said(),
            ],
        )

    def _said(self) -> list[str]:
        lines = (self._folder / "log").read_text(errors="replace").splitlines()
        return [f"a log says: {line}" for line in lines if " ERROR " in line and _HANDLERS_FAULT not in line]


def _outcomes(endings: Mapping[str, Ending]) -> Counter[str]:
    counts = [ending.job.counts for ending in endings.values()]
    return Counter(
        succeeded=sum(count.succeeded for count in counts),
        failed=sum(count.failed for count in counts),
        cancelled=sum(count.cancelled for count in counts),
    )
