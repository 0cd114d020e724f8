"""What every batcher of one handler shares: the call, the limits, the counts and what was learnt."""

from __future__ import annotations

import contextvars
import itertools
import math
import os
from typing import Any

from gristmill.batching.frame import current_frame
from gristmill.batching.ledger import Ledger
from gristmill.batching.runner import Call
from gristmill.model.cost import CostModel
from gristmill.model.limits import DEFAULT_CONCURRENCY, Limits
from gristmill.model.linger import Linger
from gristmill.model.sizing import Adaptive, SizeBound, SizeController, Sizing

_numbers = itertools.count(1)
_ENOUGH = 5  # batches from which an expectation is one


class Recipe:
    """One handler, without any event loop.

    Attributes:
        call: How the handler is called.
        limits: Its options.
        ledger: Its counts.
        slots: Batches that may run at once, on one event loop.
        prefix: What the ids of its batches begin with; unique to the process.
    """

    def __init__(self, call: Call, limits: Limits, slots: int | None) -> None:
        self.call = call
        self.limits = limits
        self.ledger = Ledger()
        self.slots = limits.concurrency or slots or DEFAULT_CONCURRENCY
        self.prefix = os.urandom(4).hex()
        self._controller: SizeController | None = None
        self._costs: CostModel | None = None
        if isinstance(limits.max_size, Adaptive):
            self._controller = limits.max_size.controller()
            self._costs = self._controller.model
        elif isinstance(limits.max_wait, Linger):
            self._costs = CostModel()
        self._fixed_cap = math.inf if isinstance(limits.max_size, Adaptive) else limits.max_size
        self._context = contextvars.copy_context()
        self._context.run(current_frame.set, None)

    def neutral_context(self) -> contextvars.Context:
        """Return a context for one batch: that of the decoration, never a caller's."""
        return self._context.copy()

    @property
    def name(self) -> str:
        """The handler's name."""
        return self.call.name

    @property
    def cap(self) -> int:
        """The size cap of the next batch."""
        return int(self._fixed_cap) if self._controller is None else self._controller.cap

    @property
    def fixed_cost(self) -> float:
        """Seconds a batch costs whatever its size, as far as it was learnt; 0 if nobody asks."""
        return 0.0 if self._costs is None else self._costs.fixed_cost

    @property
    def learns_costs(self) -> bool:
        """Whether what batches cost is learnt: for ``Adaptive`` and for ``Linger``."""
        return self._costs is not None

    def expected_seconds(self, size: int) -> float:
        """Return how long a batch of *size* should take, as far as it was learnt; 0 if that is not known."""
        costs = self._costs
        return 0.0 if costs is None or costs.samples < _ENOUGH else costs.expected(size)

    @property
    def is_marked(self) -> bool:
        """Whether items need a mark: for a weight, a key, something to compare, or a context."""
        limits = self.limits
        return bool(limits.weigh or limits.key or limits.dedupe) or self.call.takes_context

    def next_number(self) -> int:
        """Return a number for a new batch."""
        return next(_numbers)

    def observe(self, size: int, seconds: float, full: bool, code: str | None) -> None:  # noqa: FBT001 - one of four facts, in order
        """Learn from a handler call that ended."""
        if self._controller is not None:
            self._controller.record(size, seconds, full=full, failed=code is not None)
        elif self._costs is not None and code is None:
            self._costs.record(size, seconds)

    def sizing(self) -> Sizing | None:
        """Return what was learnt; None without ``Adaptive`` and ``Linger``."""
        if self._controller is not None:
            return self._controller.snapshot()
        costs: Any = self._costs
        if costs is None:
            return None
        return Sizing(
            self.cap, SizeBound.MAX_SIZE, costs.fixed_cost, costs.item_cost, costs.sigma, costs.samples
        )
