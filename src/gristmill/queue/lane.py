"""One handler's queue in one worker: claim, run, settle, and again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.errors import LeaseLost, StoreError
from gristmill.model.lease import Claim, Idle, Settlement
from gristmill.model.settling import DEFAULT_RETRY, Answers, Policy, split_in_two
from gristmill.queue.backoff import Backoff
from gristmill.queue.coding import QueueCodec
from gristmill.queue.execution import Undone, all_failed, answer, undo_if_all_failed
from gristmill.queue.gate import Gate
from gristmill.queue.keeper import LeaseKeeper
from gristmill.queue.options import QueueOptions
from gristmill.queue.quarantine import Quarantine
from gristmill.queue.recording import Recorder
from gristmill.queue.store import Store

_LOG = logging.getLogger("gristmill.queue")
_ROLLBACKS = 10
"""Transactions in a row that may be lost before that costs an attempt: their handler may break them."""
_POLL = 1.0
"""Seconds between looks at a queue of which nothing was heard."""
_LAST = 10.0
"""Seconds that handlers get to end once they are cancelled, and the store to take back what they had."""


class Lane:
    """Works one handler's queue.

    As many batches run at once as the handler has slots, and one more is
    claimed ahead, so that a slot does not wait for a claim and a settlement.

    Args:
        handler: Runs the batches.
        store: Holds them.
        options: How.
        keeper: Keeps the leases.
        quarantine: Lets suspects run alone; one for all lanes of the worker.
        worker: Names the worker in the store.

    Attributes:
        counts: What it has done: claimed, settled, stale, released, lost; broken, batches whose outcomes
            could not be decided, and refused, those whose outcomes the store would not take.
        gate: Holds claims back while the circuit breaker is open.
    """

    def __init__(
        self,
        handler: BatchHandler[Any, Any],
        store: Store,
        options: QueueOptions,
        *,
        keeper: LeaseKeeper,
        quarantine: Quarantine,
        worker: str,
    ) -> None:
        self.name = handler.name
        self.policy = Policy(
            retry=options.retry or handler.limits.retry or DEFAULT_RETRY, max_crashes=options.max_crashes
        )
        self.counts = dict.fromkeys(
            ("claimed", "settled", "stale", "released", "lost", "broken", "refused"), 0
        )
        self.gate = Gate(self.name, options.breaker, self.policy)
        self._recorder = Recorder(self.name, store, self.policy, self.counts)
        self._handler = handler
        self._store = store
        self._options = options
        self._keeper = keeper
        self._quarantine = quarantine
        self._worker = worker
        self._codec = QueueCodec(handler)
        self._room = asyncio.Semaphore(handler.slots + 1)
        self._slots = asyncio.Semaphore(handler.slots)
        self._running: set[asyncio.Task[None]] = set()
        self._winding_up: set[asyncio.Task[None]] = set()  # cheap work that no stop cancels
        self._rollbacks = Backoff(random.random)
        self._settling: set[int] = set()  # leases of which the store itself says whether they hold

    def __repr__(self) -> str:
        """Show what tests want to see."""
        return f"<Lane {self.name}: {len(self._running)} claims, {self.counts}>"

    @property
    def is_busy(self) -> bool:
        """Whether batches run, or wait for a slot."""
        return bool(self._running)

    async def serve(self) -> None:
        """Claim and run until cancelled; what runs then goes on until ``finish``."""
        backoff = Backoff(random.random)
        while True:
            await self._room.acquire()
            try:
                await self.gate.enter()
                await self._quarantine.enter()
            except asyncio.CancelledError:
                self._room.release()
                raise
            found: Claim | Idle = Idle()
            error: StoreError | None = None
            asked_at = self._keeper.now()
            try:
                found = await self._claim()
                backoff.succeeded()
            except StoreError as refused:
                error = refused
            finally:
                if not isinstance(found, Claim):
                    self._leave(None)
            if isinstance(found, Claim):
                self._start(found, asked_at)
            elif error is not None:
                await self._stand_back(f"claiming from {self.name}", backoff, error)
            else:
                await self._wait(found)

    def _leave(self, claim: Claim | None) -> None:
        self._quarantine.leave(claim)
        self._room.release()

    async def _claim(self) -> Claim | Idle:
        if self._keeper.is_shaky:
            return Idle()
        # Shielded: a claim that is cancelled half-way would be made, and nobody would know of it.
        claiming = asyncio.ensure_future(
            self._store.claim(
                self.name,
                worker=self._worker,
                max_items=self._handler.cap,
                max_bytes=self._options.max_bytes,
                seconds=self._options.lease,
            )
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._wind_up(self._return(claiming))
            raise

    async def _return(self, claiming: asyncio.Future[Claim | Idle]) -> None:
        """Give back what is claimed although nobody wants it any more."""
        try:
            found = await claiming
        except StoreError:
            return  # nothing was claimed, or the lease dies by itself
        if isinstance(found, Claim):
            await self._release(found)

    def _wind_up(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._winding_up.add(task)
        task.add_done_callback(self._winding_up.discard)

    async def _wait(self, idle: Idle) -> None:
        seconds = _POLL if idle.due_in is None else min(_POLL, max(0.001, idle.due_in))
        try:
            await self._store.wait([self.name], seconds)
        except StoreError as error:
            await self._stand_back(f"waiting for work in {self.name}", Backoff(random.random), error)

    async def _stand_back(self, what: str, backoff: Backoff, error: StoreError) -> None:
        if not backoff.is_failing:
            _LOG.warning("%s failed, and is tried again: %s", what, error)
        await asyncio.sleep(backoff.failed())

    def _start(self, claim: Claim, asked_at: float) -> None:
        self.counts["claimed"] += 1
        ticket = self.gate.claimed()
        task = asyncio.create_task(self._work(claim, ticket), name=f"gristmill queue {self.name}")
        self._running.add(task)
        task.add_done_callback(partial(self._end, claim, ticket))
        loop = asyncio.get_running_loop()

        def lost() -> None:
            loop.call_soon_threadsafe(self._lost, claim, task)

        self._keeper.keep(claim.lease, lost, since=asked_at, seconds=self._options.lease)

    def _end(self, claim: Claim, ticket: int, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._settling.discard(claim.lease)
        self.gate.leave(ticket)
        self._keeper.drop(claim.lease)
        self._leave(claim)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error(
                "lease %d of %s is left to die: its batch met an error of Gristmill's own",
                *(claim.lease, self.name),
                exc_info=error,
                extra={"handler": self.name, "lease": claim.lease},
            )

    def _lost(self, claim: Claim, task: asyncio.Task[None]) -> None:
        if task.done() or claim.lease in self._settling:  # a lease that is settled cannot be renewed either
            return
        self.counts["lost"] += 1
        _LOG.warning("lease %d of %s was lost; its batch is stopped", claim.lease, self.name)
        task.cancel("lost")

    async def _work(self, claim: Claim, ticket: int) -> None:
        try:
            if claim.is_suspect and not await self._quarantine.isolate(claim):
                await self._release(claim)
                return
            settlement: Settlement | None = None
            async with self._slots:
                if is_admitted := self.gate.admits(ticket):  # the breaker may have opened meanwhile
                    settlement = await self._run(claim, ticket)
            if settlement is not None:
                self._settling.add(claim.lease)
                await self._recorder.record(claim, settlement)
            elif not is_admitted:
                await self._release(claim)
            await self.gate.look_around(self._store)
        except asyncio.CancelledError as error:
            if "lost" not in error.args:
                await self._release(claim)
            raise

    async def _run(self, claim: Claim, ticket: int) -> Settlement | None:
        """Run *claim*; None if it is settled already, or lost."""
        try:
            if self._options.transactional:
                return await self._run_in_transaction(claim, ticket)
            answers = await answer(self._handler, self._codec, claim)
            settlement = self._recorder.decide(claim, answers)
        except MemoryError:  # the lease dies, and the batch comes again in halves
            raise
        except Exception as error:  # noqa: BLE001 - of our own: nothing that another try would mend
            return self._recorder.give_up(claim, error)
        self._note(ticket, claim, answers)
        return settlement

    def _note(self, ticket: int, claim: Claim, answers: Sequence[Answers]) -> None:
        """Let the breaker know; that ``retry.on`` raises is said where it decides about the items."""
        try:
            self.gate.note(ticket, claim, answers)
        except Exception as error:  # noqa: BLE001 - a function of the user's own
            _LOG.debug("the breaker of %s learnt nothing of a batch", self.name, exc_info=error)

    async def _run_in_transaction(self, claim: Claim, ticket: int) -> Settlement | None:
        """Run *claim* in a transaction that records it; None if that is done, or it is given back.

        What the store itself refuses at the end, such as a constraint that is deferred, a transaction that
        the handler has ended or in which it went on after an error, has failed as if the handler had raised.
        """
        answers: list[Answers] = []
        try:
            async with self._store.transaction(claim) as transaction:
                answers = await answer(
                    self._handler,
                    self._codec,
                    claim,
                    transaction=transaction.connection,
                    bisect=False,
                )
                undo_if_all_failed(claim, answers)
                self._settling.add(claim.lease)
                settled = await transaction.settle(self._recorder.decide(claim, answers))
        except Undone:
            pass
        except LeaseLost:
            self.counts["stale"] += 1
            return None
        except StoreError as error:
            if not answers or (error.retryable and self._rollbacks.failures < _ROLLBACKS):
                _LOG.warning("a transaction of %s was rolled back, and is tried again: %s", self.name, error)
                await asyncio.sleep(self._rollbacks.failed())
                await self._release(claim)
                return None
            _LOG.warning("a transaction of %s was refused: %s", self.name, error)
            answers = all_failed(claim, error)
        else:
            self._rollbacks.succeeded()
            self._recorder.count(claim, settled)
            self._note(ticket, claim, answers)
            return None
        self._settling.discard(claim.lease)
        self._note(ticket, claim, answers)
        if self._handler.limits.on_error == "bisect" and claim.items > 1:
            return split_in_two(claim, claim.chunks[0].attempt)
        return self._recorder.decide(claim, answers)

    async def _release(self, claim: Claim) -> None:
        try:
            if await self._store.release(claim.lease):
                self.counts["released"] += 1
        except StoreError as error:
            _LOG.warning("lease %d of %s is not released, and will die: %s", claim.lease, self.name, error)

    async def finish(self, seconds: float) -> None:
        """Wait for what runs, *seconds* at most; then stop it, and give it back without penalty.

        Call it after ``serve`` was cancelled.
        """
        if self._running and seconds > 0:
            await asyncio.wait(self._running, timeout=seconds)
        loop = asyncio.get_running_loop()
        until = loop.time() + _LAST
        if self._winding_up:  # a claim under way would find what is given back now
            await asyncio.wait(self._winding_up, timeout=_LAST)
        for task in self._running:
            if not task.cancelling():  # once: a second time would stop it from giving back what it has
                task.cancel("stopped")
        left = self._running | self._winding_up
        if left:
            await asyncio.wait(left, timeout=max(0.0, until - loop.time()))
