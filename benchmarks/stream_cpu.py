"""CPU-bound handlers on two workers: the share of two full cores that items get, and a killed worker."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import footprint
from benchmarks.measure import Passes, Report, Sample, Settings, Spread, interleave, ratio, spread
from benchmarks.processes import CACHE, node_is_ready, node_versions
from benchmarks.stream_run import GRISTMILL, PREVIEW, ROOT, WORKERS, command_is_ready

COSTS: Mapping[str, float] = {"1 ms": 1000.0, "50 µs": 50.0}
"""Microseconds of one core for one item."""
CHUNKS: Mapping[str, tuple[int, ...]] = {"1 ms": (1, 10, 50), "50 µs": (20, 200, 1000)}
"""Items a task, of which each pool gets what suits it best."""
WORK = 6.0
"""Seconds of one core in a pass, for each second of the settings."""
COMMAND = "gristmill run"
POOLS = ("Pool.imap", "ProcessPoolExecutor.map", "loky", "gristmill, many")
ALONE = "ProcessPoolExecutor, singles"
NODE_POOLS = ("Node worker pool", "Piscina")
COLUMNS = (
    "item",
    "subject",
    "items a task",
    "items/s",
    "share of 2 cores",
    "x the ceiling",
    "CPU s an item, x alone",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one subject is given."""

    cost: str
    count: int
    turns: int
    node_turns: int
    poison: int | None = None

    def part(self, of: int) -> Load:
        return replace(self, count=max(100, self.count // of))


def command_of(subject: str, load: Load, chunk: int) -> list[str]:
    is_node = subject.startswith("Node") or subject == "Piscina"
    start = (
        ["node", str(CACHE / "node" / "cpu.mjs")]
        if is_node
        else [sys.executable, "-m", "benchmarks.cpu_peers"]
    )
    turns = load.node_turns if is_node else load.turns
    poison = [] if load.poison is None else [str(load.poison)]
    return [*start, subject, str(load.count), str(turns), str(chunk), *poison]


def peer(subject: str, load: Load, chunk: int, timeout: float = 300.0) -> tuple[footprint.Run, int, str]:
    """Run a subject that reports by itself: what it took, its answers, and how it ended."""
    ran = footprint.run(command_of(subject, load, chunk), timeout=timeout, cwd=ROOT)
    lines = [line for line in ran.said.splitlines() if line[:1].isdigit()]
    answered, _, ended = lines[-1].partition(" ") if lines else ("0", "", "")
    if ran.status is None:
        ended = f"hung, stopped after {ran.seconds:.0f} s"
    elif ran.status < 0:
        ended = "the whole process was gone"
    return ran, int(answered), ended


def by_command(load: Load) -> tuple[footprint.Run, int, str]:
    """The same items as a file of JSON lines through `gristmill run`."""
    with tempfile.TemporaryDirectory(prefix="gm-bench-") as room:
        source, target = Path(room) / "items.ndjson", Path(room) / "answers.ndjson"
        with source.open("w") as file:
            for number in range(load.count):
                poison = ', "poison": true' if number == load.poison else ""
                file.write(f'{{"id": {number}, "turns": {load.turns}{poison}}}\n')
        command = [GRISTMILL, "run", "benchmarks.handlers.cpu:spin_all", str(source), "-o", str(target)]
        ran = footprint.run([*command, "--workers", str(WORKERS)], timeout=300, cwd=ROOT)
        answered = target.read_bytes().count(b"\n") if target.exists() else 0
    return ran, answered, "done" if ran.status is not None else "hung"


def measured(subject: str, load: Load, chunk: int) -> Sample:
    ran, answered, ended = by_command(load) if subject == COMMAND else peer(subject, load, chunk)
    if answered != load.count - (load.poison is not None) or ended != "done":
        raise RuntimeError(f"{subject}: {answered} answers, {ended or ran.status}: {ran.said[-PREVIEW:]}")
    return {"rate": load.count / ran.seconds, "cpu": ran.cpu / load.count, "peak": ran.peak}


def best_chunk(subject: str, load: Load) -> int:
    """The size of a task with which *subject* is fastest on a quarter of the load."""
    rates = {chunk: measured(subject, load.part(4), chunk)["rate"] for chunk in CHUNKS[load.cost]}
    return max(rates, key=lambda chunk: rates[chunk])


def calibrated(command: list[str], cost: str) -> int:
    done = subprocess.run(
        [*command, "calibrate", str(COSTS[cost])],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    return int(done.stdout)


def load_of(cost: str, settings: Settings) -> Load:
    turns = calibrated([sys.executable, "-m", "benchmarks.cpu_peers"], cost)
    node_turns = calibrated(["node", str(CACHE / "node" / "cpu.mjs")], cost) if node_is_ready() else 0
    count = int(WORK * settings.seconds * 1e6 / COSTS[cost])
    return Load(cost=cost, count=count, turns=turns, node_turns=node_turns)


def alone(name: str) -> str:
    """The subject that does the same without any pool."""
    return "Node sequential" if name.startswith("Node") or name == "Piscina" else "sequential"


def shared(taken: Passes, name: str) -> Spread | None:
    """The share of two full cores: items/s beside those of one process alone in the same pass."""
    found = ratio(taken, name, alone(name), "rate")
    return found and Spread(found.median / WORKERS, found.lowest / WORKERS, found.highest / WORKERS)


def one_cost(report: Report, settings: Settings, load: Load) -> dict[str, int]:
    """Measure all subjects at one cost of an item; return the size of a task that each pool liked best."""
    node = ("Node sequential", *NODE_POOLS) if node_is_ready() else ()
    names = ["sequential", "two halves", *POOLS, ALONE, *([COMMAND] if command_is_ready() else []), *node]
    names = [name for name in names if settings.wants(name)]
    chunks = {name: best_chunk(name, load) for name in names if name in POOLS or name == "Piscina"}
    # A task for each item is slow enough for a tenth of the items.
    loads = {name: load.part(10) if name == ALONE else load for name in names}
    subjects: dict[str, Callable[[], Sample]] = {
        name: lambda n=name: measured(n, loads[n], chunks.get(n, 0))  # type: ignore[misc]
        for name in names
    }
    taken = interleave(subjects, settings.passes)
    report.samples[load.cost] = taken
    for name in taken:
        share, ceiling = shared(taken, name), ratio(taken, name, "two halves", "rate")
        if name.startswith("Node") or name == "Piscina":
            ceiling = None  # another language has another item
        rate = f"{spread(taken, name, 'rate'):.0f}"
        effort = ratio(taken, name, alone(name), "cpu")
        cells = [f"{found:.2f}" if found else "" for found in (share, ceiling, effort)]
        report.rows.append((load.cost, name, str(chunks.get(name, "")), rate, *cells))
    for mine in ("gristmill, many", COMMAND):
        for name in (*POOLS[:3], ALONE):
            found = ratio(taken, mine, name, "rate")
            report.judge(f"{load.cost} an item, {mine} against {name}", found, 1.0, at_least=True)
        found = ratio(taken, mine, "two halves", "rate")
        report.judge(f"{load.cost} an item, {mine} against two halves", found, 0.95, at_least=True)
        for name in NODE_POOLS:
            mine_share, theirs = shared(taken, mine), shared(taken, name)
            if mine_share and theirs:
                pairs = zip(
                    taken[mine], taken["sequential"], taken[name], taken["Node sequential"], strict=True
                )
                shares = [(m["rate"] / s["rate"]) / (n["rate"] / a["rate"]) for m, s, n, a in pairs]
                target = f"{load.cost} an item, share of 2 cores of {mine} against {name}"
                report.judge(target, Spread.of(shares), 1.0, at_least=True)
    return chunks


def one_killed(report: Report, settings: Settings, load: Load, chunks: Mapping[str, int]) -> None:
    """The same with one item, midway, that kills its process: once for each peer, in all passes for us."""
    poisoned = replace(load, poison=load.count // 2)
    expected = load.count * COSTS[load.cost] / 1e6 / WORKERS
    for name in [*POOLS[:3], *(NODE_POOLS if node_is_ready() else ())]:
        if settings.wants(name):
            _, answered, ended = peer(name, poisoned, chunks.get(name, 0), timeout=expected * 2 + 10)
            report.remarks.append(
                f"a worker killed midway, {name}: {answered} of {load.count - 1} answered, {ended}"
            )
    mine = ["gristmill, many", *([COMMAND] if command_is_ready() else [])]
    subjects: dict[str, Callable[[], Sample]] = {}
    for name in mine:
        if settings.wants(name):
            chunk = chunks.get(name, 0)
            subjects[name] = lambda n=name, c=chunk: measured(n, load, c)  # type: ignore[misc]
            subjects[f"{name}, killed"] = lambda n=name, c=chunk: measured(n, poisoned, c)  # type: ignore[misc]
    taken = interleave(subjects, settings.passes)
    report.samples["killed"] = taken
    for name in mine:
        target = f"items/s of {name} with a worker killed midway, all others answered, against none killed"
        report.judge(target, ratio(taken, f"{name}, killed", name, "rate"), 0.95, at_least=True)


def run(settings: Settings) -> Report:
    report = Report("stream, CPU-bound: two workers, a fresh process each time, from start to end", COLUMNS)
    report.remarks.append(
        "`two halves` is the ceiling: two processes with their half from the start, no answers"
    )
    if not command_is_ready():
        report.remarks.append("there is no `gristmill run` yet: the peers and `many` alone")
    if node_is_ready():
        report.remarks.append(f"Node peers: {node_versions()}")
    chunks: dict[str, dict[str, int]] = {}
    loads = {cost: load_of(cost, settings) for cost in COSTS}
    for cost, load in loads.items():
        said = f"{load.count} items of {load.turns} turns (Node: {load.node_turns})"
        report.remarks.append(f"{cost}: {said}")
        chunks[cost] = one_cost(report, settings, load)
    one_killed(report, settings, loads["1 ms"], chunks["1 ms"])
    return report
