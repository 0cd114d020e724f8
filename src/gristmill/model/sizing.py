"""The size cap of a batch that learns: efficiency, target latency and a guard against model error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from gristmill.errors import ConfigurationError
from gristmill.model.cost import CostModel

_ENOUGH = 3  # samples before the model may move the cap
_CAUTION = 2.0  # standard deviations kept free below the target latency
_DITHER = (1.0, 0.8, 1.0, 0.6)


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
        sigma: Relative standard deviation of the batch time (0.1 is 10 %).
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
        if self.target_latency is not None and not 0 < self.target_latency < math.inf:
            raise ConfigurationError(
                f"target_latency must be seconds above 0, or None: {self.target_latency!r}"
            )
        if not 1 <= self.min_size <= self.max_size:
            raise ConfigurationError(
                f"need 1 <= min_size <= max_size, got {self.min_size!r} and {self.max_size!r}"
            )
        if self.start < 1:
            raise ConfigurationError(f"start must be at least 1, got {self.start!r}")
        if not 0 < self.efficiency < 1:
            raise ConfigurationError(f"efficiency must be between 0 and 1, got {self.efficiency!r}")

    def controller(self) -> SizeController:
        """Return a new controller with these settings that has learnt nothing."""
        return SizeController(self)


class SizeController:
    """Moves one cap as batches end.

    Attributes:
        cap: Most items of the next batch; read it whenever one is formed.
        model: The costs learnt so far.
    """

    __slots__ = ("_bound", "_guard", "_settings", "_target", "_turn", "cap", "model")

    def __init__(self, settings: Adaptive) -> None:
        self._settings = settings
        self.model = CostModel()
        self.cap = min(max(settings.start, settings.min_size), settings.max_size)
        self._target = self.cap
        self._guard = float(settings.max_size)
        self._bound = SizeBound.LEARNING
        self._turn = 0

    def record(self, size: int, seconds: float, *, full: bool, failed: bool = False) -> None:
        """Learn from a batch of *size* items whose handler call took *seconds*.

        Args:
            size: Items of the batch.
            seconds: How long the handler call took; what is no time (NaN,
                infinite, negative) is passed over.
            full: Whether the batch was as large as the cap let it be. Only then
                may the cap grow, to twice the batch at most.
            failed: Whether the handler raised or its reply was refused. The
                costs are not learnt from such a batch.
        """
        if size < 1 or not 0 <= seconds < math.inf:
            return
        limit = self._settings.target_latency
        if limit is not None and seconds > limit:
            self._guard = min(self._guard, 0.9 * size)
        elif full and not failed:
            self._guard = min(float(self._settings.max_size), self._guard + max(1.0, 0.02 * self._guard))
        if failed:
            return
        self.model.record(size, seconds)
        self._move(size, full=full)

    def snapshot(self) -> Sizing:
        """Return the cap, what bounds it and the costs learnt."""
        model = self.model
        return Sizing(self.cap, self._bound, model.fixed_cost, model.item_cost, model.sigma, model.samples)

    def _move(self, size: int, *, full: bool) -> None:
        wanted, bound = self._wanted()
        limit = self._target if not full else max(self._target, 2 * size)
        if wanted > limit:
            wanted, bound = limit, SizeBound.LEARNING
        self._target, self._bound = wanted, bound
        self._turn += 1
        share = 1.0 if self.model.is_identifiable else _DITHER[self._turn % len(_DITHER)]
        self.cap = max(self._settings.min_size, int(wanted * share))

    def _wanted(self) -> tuple[int, SizeBound]:
        settings, model = self._settings, self.model
        wanted, bound = float(settings.max_size), SizeBound.MAX_SIZE
        if model.samples < _ENOUGH:
            return self._target, SizeBound.LEARNING
        knee = model.fixed_cost / model.item_cost * settings.efficiency / (1.0 - settings.efficiency)
        if knee < wanted:
            wanted, bound = math.ceil(knee), SizeBound.EFFICIENCY
        if settings.target_latency is not None:
            room = settings.target_latency * math.exp(-_CAUTION * model.sigma) - model.fixed_cost
            if room / model.item_cost < wanted:
                wanted, bound = room / model.item_cost, SizeBound.TARGET_LATENCY
        if self._guard < wanted:
            wanted, bound = self._guard, SizeBound.GUARD
        if wanted < settings.min_size:
            return settings.min_size, SizeBound.MIN_SIZE
        return int(wanted), bound
