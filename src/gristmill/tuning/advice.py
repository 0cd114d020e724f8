"""Which size to take, and why: the rule of ``Adaptive`` on what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gristmill.errors import ConfigurationError
from gristmill.model.sizing import Adaptive, efficient_size, size_within
from gristmill.tuning import words
from gristmill.tuning.fit import Cliff, Cost, find_cliff, fit, misfit, noise
from gristmill.tuning.ladder import FEWEST
from gristmill.tuning.measuring import Measurement

_CROOKED = 0.25  # a line that is this far off is not the whole truth
_RESTLESS = 0.25  # relative standard deviation of batches that are all alike
_MANY = 0.5  # share of failed items at which their failing is what was measured


class Bound(StrEnum):
    """What set the recommended size. The value is that of the JSON document."""

    EFFICIENCY = "efficiency"
    TARGET_LATENCY = "target_latency"
    CLIFF = "cliff"
    LARGEST = "largest_measured"
    NO_GAIN = "no_gain"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a measurement comes to.

    Attributes:
        size: The recommended size.
        bound: What set it.
        why: One sentence, without a capital and a full stop.
        cost: The fitted line, up to the cliff.
        noise: Relative standard deviation of a batch from the others of its size.
        cliff: Where larger batches become far slower; None where they do not.
        notes: What to know before believing it, a sentence each.
    """

    size: int
    bound: Bound
    why: str
    cost: Cost
    noise: float
    cliff: Cliff | None
    notes: tuple[str, ...]


def advise(measurement: Measurement, rule: Adaptive, *, rows: int = 0) -> Advice:
    """Return the size that the rule of ``Adaptive`` takes from *measurement*.

    The fewest items of which a batch spends the rule's ``efficiency`` of its
    time on items, within its ``target_latency``, and no more than were measured
    before a cliff.

    Args:
        measurement: Of two sizes or more.
        rule: Its ``efficiency`` and ``target_latency`` count.
        rows: Of the sample, to tell when batches held a row twice; 0 if that is of no interest.

    Raises:
        ConfigurationError: Fewer than two sizes were measured.
    """
    if len(measurement.sizes) < FEWEST:
        raise ConfigurationError(
            "the handler became too slow to measure two sizes; give it more --seconds or smaller --sizes"
        )
    points = [(each.size, each.median) for each in measurement.sizes]
    cliff = find_cliff(points)
    good = [point for point in points if cliff is None or point[0] <= cliff.last_good]
    cost = fit(good)
    spread = noise([each.seconds for each in measurement.sizes])
    size, bound = _choose(cost, spread, good[-1][0], cliff, rule)
    return Advice(
        size,
        bound,
        _why(size, bound, cost, rule),
        cost,
        spread,
        cliff,
        (*_of_line(cost, good, cliff), *_of_runs(measurement, spread, rows)),
    )


def _choose(
    cost: Cost, spread: float, largest: int, cliff: Cliff | None, rule: Adaptive
) -> tuple[int, Bound]:
    knee, target = efficient_size(cost.fixed_cost, cost.item_cost, rule.efficiency), rule.target_latency
    size, bound = largest, Bound.LARGEST if cliff is None else Bound.CLIFF
    if target is not None:
        # Noise grows with the time, so it is that of a batch which just meets the target.
        fits = size_within(target, cost.fixed_cost, cost.item_cost, spread * target)
        if fits < size:
            size, bound = words.rounded(fits, up=False), Bound.TARGET_LATENCY
    if knee <= 1:
        return 1, Bound.NO_GAIN
    if knee <= size:
        return min(words.rounded(knee, up=True), size), Bound.EFFICIENCY
    return size, bound


def _why(size: int, bound: Bound, cost: Cost, rule: Adaptive) -> str:
    fixed = words.duration(cost.fixed_cost)
    part = words.share(cost.fixed_share(size))
    held = f"at {words.items(size)} the fixed {fixed} is {part} of a batch"
    match bound:
        case Bound.EFFICIENCY:
            return held
        case Bound.NO_GAIN:
            return (
                f"batching does not pay: an item costs {words.duration(cost.item_cost)} "
                f"in a batch of any size, and the fixed cost that a batch would share is {fixed}"
            )
        case Bound.TARGET_LATENCY:
            limit = rule.target_latency or 0.0
            taken, target = words.duration(cost.expected(size)), words.duration(limit)
            if cost.expected(size) > limit:
                return f"even {words.items(size)} takes {taken}, more than the target of {target}"
            return f"{held}; it takes {taken}, and a larger one would miss the target of {target}"
        case Bound.CLIFF:
            return f"{held}, and larger batches fall off a cliff"
        case Bound.LARGEST:
            knee = efficient_size(cost.fixed_cost, cost.item_cost, rule.efficiency)
            return (
                f"{held}, and nothing larger was measured; {words.count(words.rounded(knee, up=True))} "
                f"would bring it to {words.share(1 - rule.efficiency)}: "
                "give a larger sample, --max-size or --seconds"
            )


def _of_line(cost: Cost, good: list[tuple[int, float]], cliff: Cliff | None) -> Iterator[str]:
    """Yield what to know of the fit."""
    if cliff is not None:
        yield (
            f"Cliff: batches of {words.items(cliff.first_bad)} take {cliff.factor:.1f} times as long "
            f"as smaller ones foretell. Keep max_size at {words.count(cliff.last_good)} or below."
        )
    off = misfit(cost, good)
    if off > _CROOKED:
        yield (
            f"The times are no straight line: they are up to {words.share(off)} away from it. "
            "Trust the table more than the fit."
        )


def _of_runs(measurement: Measurement, spread: float, rows: int) -> Iterator[str]:
    """Yield what to know of the batches that were run."""
    if spread > _RESTLESS:
        yield (
            f"Batches of one size differ by {words.share(spread)}: the machine, "
            "or what the handler asks, is busy. Measure again when it is quiet."
        )
    if measurement.failed:
        reasons = ", ".join(code for code, _ in measurement.codes[:3])
        yield f"{words.count(measurement.failed)} of {words.items(measurement.items)} failed ({reasons})." + (
            " What was measured is how fast they fail: give rows that succeed again and again, "
            "or more rows than that."
            if measurement.failed > _MANY * measurement.items
            else ""
        )
    if measurement.left_out:
        least = words.items(measurement.left_out[0])
        yield f"No time for batches of {least} and more; with more --seconds there is."
    if 0 < rows < measurement.sizes[-1].size:
        yield f"The sample has {words.count(rows)} rows, so larger batches held rows twice."
