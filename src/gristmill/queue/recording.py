"""What became of a claim, decided and recorded, whatever the store or a user's ``retry.on`` does meanwhile.

A batch that ran must not run again because of what comes after it: its lease
is kept, and its outcomes are offered to the store until it takes them. Where
they cannot be decided, or the store refuses them for good, the items fail
with a code that says so, and the queue goes on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

from gristmill.errors import StoreFull, StoreMisconfigured, StoreReadOnly, StoreUnavailable
from gristmill.model.lease import Claim, Settled, Settlement
from gristmill.model.outcome import Failed
from gristmill.model.refusal import fail_largest
from gristmill.model.settling import Answers, Policy, fail_all, settle, settle_without_retry
from gristmill.queue.backoff import Backoff
from gristmill.queue.store import Store

_LOG = logging.getLogger("gristmill.queue")

BROKEN = "internal_error"
"""The code of items whose outcome could not be decided."""
REFUSED = "store_error"
"""The code of items whose outcome no store would take."""

_TRIES = 3
"""Times that a settlement is refused before that is taken to be for good."""
_MAY_PASS = (StoreUnavailable, StoreFull, StoreReadOnly, StoreMisconfigured)
"""What says nothing of what is recorded: it waits until somebody has mended the store."""


class Recorder:
    """Decides and records what becomes of the claims of one queue.

    Args:
        queue: Its name, for the log.
        store: Holds it.
        policy: Which failures are tried again.
        counts: How often what happened: ``settled``, ``stale``, ``broken`` and ``refused`` are counted here.
    """

    def __init__(self, queue: str, store: Store, policy: Policy, counts: MutableMapping[str, int]) -> None:
        self._queue = queue
        self._store = store
        self._policy = policy
        self._counts = counts

    def decide(self, claim: Claim, answers: Sequence[Answers]) -> Settlement:
        """Return what to record of *claim*; where ``retry.on`` raises, what failed is not tried again."""
        try:
            return settle(claim, answers, self._policy, random.random)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a function of the user's own decides, too
            self.note_broken(claim, error, "what failed is not tried again")
            return settle_without_retry(claim, answers, Failed(error, BROKEN))

    def give_up(self, claim: Claim, error: Exception) -> Settlement:
        """Return what to record of *claim* where an *error* that is not the handler's hides its outcomes."""
        self.note_broken(claim, error, "all of its items fail")
        return fail_all(claim, Failed(error, BROKEN))

    def note_broken(self, claim: Claim, error: Exception, outcome: str) -> None:
        """Count and log an *error* of our own, or of a function of the user's that is not the handler."""
        self._counts["broken"] += 1
        _LOG.error(
            "a batch of %s (%s) met an error that is not the handler's: %s",
            *(self._queue, _named(claim), outcome),
            exc_info=error,
            extra=self._ids(claim),
        )

    async def record(self, claim: Claim, settlement: Settlement) -> None:
        """Record *settlement*, however long the store is away: it counts while nobody else has the items.

        One that is refused for good makes its largest values fail, twice as many at each try, and in the end
        all items of the claim; if that is refused, too, the lease is left to die.
        """
        refusal = await self._offered(claim, settlement)
        if refusal is None:
            return
        self._counts["refused"] += 1
        failed, count = Failed(refusal, REFUSED), 1
        while (less := fail_largest(claim, settlement, count, failed)) is not None:
            if await self._offered(claim, less, tries=1) is None:
                self._note_refused(claim, refusal, f"the largest of its values fail ({count})")
                return
            count *= 2
        self._note_refused(claim, refusal, "all of its items fail")
        refusal = await self._offered(claim, fail_all(claim, failed))
        if refusal is not None:
            _LOG.error(
                "the store refused their failure, too: the lease of a batch of %s (%s) is left to die: %s",
                *(self._queue, _named(claim), refusal),
                extra=self._ids(claim),
            )

    def _note_refused(self, claim: Claim, refusal: Exception, outcome: str) -> None:
        _LOG.error(
            "the store refused the outcomes of a batch of %s (%s) %d times: %s with %s",
            *(self._queue, _named(claim), _TRIES, outcome, REFUSED),
            exc_info=refusal,
            extra=self._ids(claim),
        )

    async def _offered(
        self, claim: Claim, settlement: Settlement, *, tries: int = _TRIES
    ) -> Exception | None:
        """Offer *settlement* until the store has taken it; return what it says when it will not."""
        backoff = Backoff(random.random)
        refusals = 0
        while True:
            try:
                settled = await self._store.settle(settlement)
            except Exception as error:  # noqa: BLE001 - returned, or logged and tried again
                refusals += not isinstance(error, _MAY_PASS)
                if refusals >= tries:
                    return error
                if not backoff.is_failing:
                    _LOG.warning(
                        "recording the outcomes of a batch of %s (%s) failed, and is tried again: %s",
                        *(self._queue, _named(claim), error),
                        extra=self._ids(claim),
                    )
                await asyncio.sleep(backoff.failed())
            else:
                self.count(claim, settled)
                return None

    def count(self, claim: Claim, settled: Settled) -> None:
        """Count what the store answered to a settlement."""
        if settled is Settled.STALE:
            self._counts["stale"] += 1
            _LOG.warning("lease %d of %s had died: its outcomes are not recorded", claim.lease, self._queue)
        else:
            self._counts["settled"] += 1

    def _ids(self, claim: Claim) -> dict[str, Any]:
        return {"handler": self._queue, "lease": claim.lease, "jobs": list(_jobs_of(claim))}


_SHOWN = 3  # jobs in a line of the log


def _jobs_of(claim: Claim) -> Iterable[str]:
    return dict.fromkeys(chunk.job for chunk in claim.chunks)


def _named(claim: Claim) -> str:
    """Return the lease, the items and the first jobs of *claim*, for the log."""
    jobs = list(_jobs_of(claim))
    rest = f" and {len(jobs) - _SHOWN} jobs more" if len(jobs) > _SHOWN else ""
    return f"lease {claim.lease}, {claim.items} items of {', '.join(jobs[:_SHOWN])}{rest}"
