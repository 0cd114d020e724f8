"""How well `Adaptive` finds a size, on simulated handlers in virtual time; every pass is another seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.measure import Report, Sample, Settings, interleave, spread
from gristmill.model.sizing import Adaptive
from gristmill.testing import (
    AdditiveIncrease,
    Cost,
    LatencyGradient,
    Simulation,
    Sizer,
    affine,
    changing,
    cliff,
    noisy,
    simulate,
)

BATCHES = 3000
LARGEST = 10_000
PLAIN = affine(fixed=0.005, item=0.0001)
SLOWER = affine(fixed=0.020, item=0.0004)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A handler to find the size of, and the target latency it has to meet."""

    cost: Cost
    target: float
    changes_at: int | None = None


HANDLERS = {
    "affine, 50 ms": Handler(cost=PLAIN, target=0.05),
    "affine, 1 s": Handler(cost=PLAIN, target=1.0),
    "cliff at 200, 1 s": Handler(cost=cliff(PLAIN, at=200, factor=4.0), target=1.0),
    "4x slower half-way, 100 ms": Handler(
        cost=changing(PLAIN, SLOWER, at=BATCHES // 2), target=0.1, changes_at=BATCHES // 2
    ),
}
SIZERS: dict[str, Callable[[float], Sizer]] = {
    "Adaptive": lambda target: Adaptive(target_latency=target).controller(),
    "AIMD": lambda target: AdditiveIncrease(target_latency=target),
    "latency gradient": lambda _target: LatencyGradient(),
}


def best_pace(handler: Handler, index: int) -> float:
    """Seconds an item of the best fixed size within the target, on the handler without its noise."""
    seconds = ((size, handler.cost(size, index)) for size in range(1, LARGEST + 1))
    return min(spent / size for size, spent in seconds if spent <= handler.target)


def judged(found: Simulation, handler: Handler, paces: tuple[float, float]) -> Sample:
    change = handler.changes_at or BATCHES
    needed = sum(found.sizes[:change]) * paces[0] + sum(found.sizes[change:]) * paces[1]
    settled = found.settled_after() if handler.changes_at is None else None
    return {
        "rate": found.throughput,
        "of_best": needed / found.elapsed,
        "over": found.over_target(handler.target) * 100,
        "settled": math.inf if settled is None else settled,
        "cap": found.final_cap,
    }


def simulated(handler: Handler, sizer: Callable[[float], Sizer]) -> Callable[[], Sample]:
    seeds = iter(range(1, 1000))
    paces = (best_pace(handler, 0), best_pace(handler, BATCHES))

    def once() -> Sample:
        chance = random.Random(next(seeds))
        cost = noisy(handler.cost, chance, sigma=0.1)
        return judged(simulate(sizer(handler.target), cost, batches=BATCHES), handler, paces)

    return once


def run(settings: Settings) -> Report:
    columns = ("handler, target latency", "sizer", "items/s", "of the best", "% over", "settled after", "cap")
    report = Report(
        f"adaptive size, {BATCHES} batches, saturated, 10 % lognormal noise, virtual time", columns
    )
    for title, handler in HANDLERS.items():
        subjects = {name: simulated(handler, sizer) for name, sizer in SIZERS.items()}
        taken = interleave(subjects, settings.passes)
        report.samples[title] = taken
        for name in taken:
            row = (f"{spread(taken, name, 'rate'):.0f}", f"{spread(taken, name, 'of_best'):.2f}")
            settled = f"{spread(taken, name, 'settled'):.0f}" if handler.changes_at is None else ""
            row += (f"{spread(taken, name, 'over'):.1f}", settled, f"{spread(taken, name, 'cap'):.0f}")
            report.rows.append((title, name, *row))
        of_best = spread(taken, "Adaptive", "of_best")
        report.judge(f"speed of the best fixed size, {title}", of_best, 0.8, at_least=True)
        if handler.changes_at is None:
            report.judge(
                f"batches until the cap stands, {title}",
                spread(taken, "Adaptive", "settled"),
                30,
                unit="batches",
            )
    report.remarks.append(
        "of the best: the time that the best fixed size within the target needs / the time taken"
    )
    report.remarks.append("settled after inf: the cap never came to stay")
    return report
