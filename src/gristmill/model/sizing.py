"""The size cap of a batch that learns: efficiency, target latency and a guard against model error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from gristmill.errors import ConfigurationError
from gristmill.model.cost import CostModel, is_duration
from gristmill.model.guard import Guard
from gristmill.model.numbers import is_number

_ROUNDING = 1e-9  # 0.9 / (1 - 0.9) is a little more than 9: not worth an item
_CAUTION = 2.25  # standard deviations kept free below the target latency: about 2 batches in 100 miss it
_DEAD_BAND = 0.1  # changes of the efficient size below this share are noise
_VAGUE = 0.05  # standard error of the fixed cost, as a share of what efficiency allows it, worth a probe
_PROBE = 1 / 32  # size of a probe, as a share of the cap
_NEW = 5  # batches that are too few to judge their own error
_EARLY = 30  # batches after which probes are rarer
_EARLY_PERIOD, _PERIOD = 3, 6  # a probe is at most every so many full batches


def efficient_size(fixed_cost: float, item_cost: float, efficiency: float) -> int:
    """Return the fewest items of which a batch spends the share *efficiency* of its time on items.

    Args:
        fixed_cost: Seconds a batch costs whatever its size, at least 0.
        item_cost: Seconds each item adds, above 0.
        efficiency: Between 0 and 1.

    >>> efficient_size(0.005, 0.00002, 0.9)
    2250
    """
    return math.ceil(efficiency / (1.0 - efficiency) * fixed_cost / item_cost * (1.0 - _ROUNDING))


def size_within(target_latency: float, fixed_cost: float, item_cost: float, sigma: float) -> float:
    """Return the most items of a batch that meets *target_latency*, noise of *sigma* seconds allowed for.

    A number of items that need not be whole; below 1 when not even one item meets it.
    """
    return (target_latency - fixed_cost - _CAUTION * sigma) / item_cost


class SizeBound(StrEnum):
    """Which term set the cap. The value is the metric label."""

    EFFICIENCY = "efficiency"
    TARGET_LATENCY = "target_latency"
    GUARD = "guard"
    MIN_SIZE = "min_size"
    MAX_SIZE = "max_size"
    LEARNING = "learning"


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a controller has learnt, for metrics.

    Attributes:
        cap: Most items of the next batch.
        bound: Which term set the cap.
        fixed_cost: Seconds a batch costs whatever its size.
        item_cost: Seconds each item adds.
        sigma: Standard deviation of the batch time from what was expected, in seconds.
        samples: Batches the costs were learnt from.
    """

    cap: int
    bound: SizeBound
    fixed_cost: float
    item_cost: float
    sigma: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """Let the size cap follow what batches cost.

    Args:
        target_latency: Seconds a batch may take; None for no limit of that kind.
        min_size: The cap is never lower, at least 1.
        max_size: The cap is never higher.
        start: The cap before anything is learnt, moved into the limits.
        efficiency: Share of a batch's time to spend on items and not on the
            fixed cost, between 0 and 1; bigger batches than that needs are not
            made.
    """

    target_latency: float | None = None
    min_size: int = 1
    max_size: int = 10_000
    start: int = 32
    efficiency: float = 0.9

    def __post_init__(self) -> None:
        """Refuse limits that no cap can meet."""
        for name in ("min_size", "max_size", "start"):
            size: object = getattr(self, name)
            if not isinstance(size, int) or size < 1:
                raise ConfigurationError(f"{name} must be a whole number of items, at least 1, got {size!r}")
        target = self.target_latency
        if target is not None and (not is_number(target) or not 0 < target < math.inf):
            raise ConfigurationError(
                f"target_latency must be seconds above 0, or None: {self.target_latency!r}"
            )
        if self.min_size > self.max_size:
            raise ConfigurationError(f"max_size {self.max_size} is below min_size {self.min_size}")
        if not is_number(self.efficiency) or not 0 < self.efficiency < 1:
            raise ConfigurationError(f"efficiency must be between 0 and 1, got {self.efficiency!r}")

    def controller(self) -> SizeController:
        """Return a new controller with these settings that has learnt nothing."""
        return SizeController(self)


class SizeController:
    """Moves one cap as batches end.

    The cap is the least of three sizes: the one at which the fixed cost is
    down to ``1 - efficiency`` of a batch, ``efficiency / (1 - efficiency) *
    fixed_cost / item_cost``; the one that meets the target latency with some
    standard deviations to spare; and the guard, which knows no model. It grows
    to twice a full batch at most and shrinks by half at most. While the fixed
    cost is not known well enough, now and then a batch is made small to
    measure it. O(1) a batch; not for use from several threads at once.

    Attributes:
        cap: Most items of the next batch; read it whenever one is formed.
        model: The costs learnt so far.
    """

    __slots__ = ("_bound", "_guard", "_settings", "_shown", "_since_probe", "_target", "cap", "model")

    def __init__(self, settings: Adaptive) -> None:
        self._settings = settings
        self.model = CostModel()
        self.cap = self._shown = self._target = min(max(settings.start, settings.min_size), settings.max_size)
        self._guard = Guard(settings.max_size)
        self._bound = SizeBound.LEARNING
        self._since_probe = 0

    def record(self, size: int, seconds: float, *, full: bool, failed: bool = False) -> None:
        """Learn from a batch of *size* items whose handler call took *seconds*.

        Args:
            size: Items of the batch.
            seconds: How long the handler call took; what is no duration (NaN,
                infinite, negative) is passed over.
            full: Whether the batch was as large as the cap let it be. Only then
                may the cap grow.
            failed: Whether the handler raised or its reply was refused. Such a
                batch may lower the cap by taking too long; nothing else is
                learnt from it.
        """
        if size < 1 or not is_duration(seconds):
            return
        if self._is_believable(size, seconds, full=full, failed=failed) and not failed:
            self.model.record(size, seconds)
        self._move(size, full=full and not failed)

    def snapshot(self) -> Sizing:
        """Return the cap, what bounds it and the costs learnt."""
        model = self.model
        return Sizing(self.cap, self._bound, model.fixed_cost, model.item_cost, model.sigma, model.samples)

    def __repr__(self) -> str:
        """Show the cap and what bounds it."""
        return f"SizeController(cap={self.cap}, bound={self._bound.value!r}, samples={self.model.samples})"

    def _is_believable(self, size: int, seconds: float, *, full: bool, failed: bool) -> bool:
        """Tell the guard about a batch; return whether the model may learn from it."""
        limit = self._settings.target_latency
        # A small batch that overruns shows a wrong model, not a size that is too large.
        if 2 * size > self._target and self.model.is_overrun(size, seconds):
            if not self._guard.overran(size, failed=failed):
                return False
            self.model.forget()
        elif limit is not None and seconds > limit:
            self._guard.missed(size)
        elif full and not failed:
            self._guard.passed(size)
        return True

    def _move(self, size: int, *, full: bool) -> None:
        wanted, bound = self._wanted()
        if bound is SizeBound.EFFICIENCY and abs(wanted - self._target) <= _DEAD_BAND * self._target:
            wanted = self._target
        highest = max(self._target, 2 * size) if full else self._target
        if wanted > highest:
            wanted, bound = highest, SizeBound.LEARNING
        self._target = min(max(wanted, self._target // 2, self._settings.min_size), self._settings.max_size)
        self._bound = bound
        # A growth that a probe came in the way of shows after the next full batch, not after just any.
        shown = min(self._target, self._shown)
        self.cap = self._target if full else shown
        self._since_probe += 1
        if full and bound in (SizeBound.EFFICIENCY, SizeBound.MIN_SIZE):
            self._probe(highest)
        self._shown = max(shown, self.cap)

    def _probe(self, highest: int) -> None:
        """Give the next batch another size where the fixed cost is known too little."""
        period = _EARLY_PERIOD if self.model.samples < _EARLY else _PERIOD
        if self._since_probe < period or not self._is_vague():
            return
        self._since_probe = 0
        smaller = int(self._target * _PROBE)
        if smaller >= self._settings.min_size:
            self.cap = smaller
        else:  # nothing is small enough to tell: try the double, where that is safe
            self.cap = max(self._target, min(highest, int(self._ceiling()[0])))

    def _is_vague(self) -> bool:
        model = self.model
        allowed = (1.0 - self._settings.efficiency) * model.expected(self._target)
        return model.samples < _NEW or model.fixed_cost_error > _VAGUE * allowed

    def _wanted(self) -> tuple[int, SizeBound]:
        """Return the best size by all three terms, and which of them it is."""
        settings, model = self._settings, self.model
        if not model.samples:
            return self._target, SizeBound.LEARNING
        wanted, bound = self._ceiling()
        if model.is_identifiable or model.fixed_cost:
            knee = efficient_size(model.fixed_cost, model.item_cost, settings.efficiency)
            if knee < wanted:
                wanted, bound = knee, SizeBound.EFFICIENCY
        if wanted < settings.min_size:
            return settings.min_size, SizeBound.MIN_SIZE
        return int(wanted), bound

    def _ceiling(self) -> tuple[float, SizeBound]:
        """Return the largest size that is safe, efficient or not."""
        settings, model = self._settings, self.model
        ceiling, bound = float(settings.max_size), SizeBound.MAX_SIZE
        if settings.target_latency is not None:
            fits = size_within(settings.target_latency, model.fixed_cost, model.item_cost, model.sigma)
            if fits < ceiling:
                ceiling, bound = fits, SizeBound.TARGET_LATENCY
        if self._guard.limit < ceiling:
            ceiling, bound = self._guard.limit, SizeBound.GUARD
        return ceiling, bound
