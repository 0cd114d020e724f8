"""Renews the leases of one worker, from a thread of its own that a busy event loop cannot hold up.

A handler that blocks the loop, or holds the GIL for a while, must not lose
its batch to another worker. The thread has an event loop and a twin of the
store to itself, so it shares nothing that user code can block but the GIL.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable

from gristmill.errors import StoreError
from gristmill.queue.store import Store

_LOG = logging.getLogger("gristmill.queue")


class LeaseKeeper:
    """Keeps leases alive until they are dropped, and says when one is lost.

    Args:
        store: Where the leases are; its twin is used in the thread.
        seconds: How long the shortest lease lives without renewal; all are renewed after a third of that.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._lost: dict[int, Callable[[], None]] = {}
        self._alive_at: dict[int, float] = {}
        self._lives: dict[int, float] = {}
        self._failing_since: float | None = None
        self._thread: threading.Thread | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._started = threading.Event()

    def __repr__(self) -> str:
        """Show how many leases it keeps."""
        return f"<LeaseKeeper of {len(self._lost)} leases>"

    @property
    def is_shaky(self) -> bool:
        """Whether renewing has failed for half the life of the shortest lease: claim nothing new."""
        since = self._failing_since
        return since is not None and self._clock() - since > self._seconds / 2

    def now(self) -> float:
        """Return the seconds of its clock."""
        return self._clock()

    def keep(
        self,
        lease: int,
        lost: Callable[[], None],
        *,
        since: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Renew *lease* from now on; *lost* is called once, in the thread, if it cannot be.

        Args:
            lease: Which.
            lost: Called without arguments.
            since: When it was asked for, by ``now``: it may live since then. By default just now.
            seconds: How long it lives without renewal; as long as the shortest by default.
        """
        with self._lock:
            self._lost[lease] = lost
            self._alive_at[lease] = self._clock() if since is None else since
            self._lives[lease] = self._seconds if seconds is None else seconds

    def drop(self, lease: int) -> None:
        """Renew *lease* no longer; harmless if it is not kept."""
        with self._lock:
            self._lost.pop(lease, None)
            self._forget(lease)

    def _forget(self, lease: int) -> None:
        self._alive_at.pop(lease, None)
        self._lives.pop(lease, None)

    def start(self) -> None:
        """Start the thread; harmless if it runs."""
        if self._thread is None:
            self._started.clear()
            self._thread = threading.Thread(target=self._main, name="gristmill leases", daemon=True)
            self._thread.start()
            self._started.wait()

    def stop(self) -> None:
        """End the thread and wait for it; also if it was never started, and twice."""
        thread, self._thread = self._thread, None
        if thread is None or self._stop is None:
            return
        loop, event = self._stop
        loop.call_soon_threadsafe(event.set)
        thread.join()

    def _main(self) -> None:
        asyncio.run(self._keep_all())

    async def _keep_all(self) -> None:
        stop = asyncio.Event()
        self._stop = (asyncio.get_running_loop(), stop)
        self._started.set()
        store = self._store.twin()
        try:
            while not stop.is_set():
                try:
                    async with asyncio.timeout(self._pause()):
                        await stop.wait()
                except TimeoutError:
                    self._give_up(set())
                    await self._renew(store)
        finally:
            if store is not self._store:
                await store.close()

    def _pause(self) -> float:
        """Return the seconds until the next renewal, or until the first lease dies if that is sooner."""
        with self._lock:
            deaths = (at + self._lives[lease] for lease, at in self._alive_at.items())
            left = min(deaths, default=math.inf) - self._clock()
        return max(0.0, min(self._seconds / 3, left))

    async def _renew(self, store: Store) -> None:
        by_life: dict[float, list[int]] = {}
        with self._lock:
            for lease in self._lost:
                by_life.setdefault(self._lives[lease], []).append(lease)
        if not by_life:
            self._failing_since = None  # the next claim tells whether the store is there
        lost: set[int] = set()
        for life, leases in sorted(by_life.items()):
            began = self._clock()
            try:
                async with asyncio.timeout(self._pause()):
                    lost |= await store.renew(leases, life)
            except Exception as error:  # noqa: BLE001 - whatever it is: without this thread all leases die
                if self._failing_since is None:
                    self._failing_since = began
                    is_known = isinstance(error, StoreError | OSError | TimeoutError)
                    _LOG.warning(
                        "renewing %d leases failed, and is tried again: %s",
                        *(len(leases), error),
                        exc_info=None if is_known else error,
                    )
            else:
                self._failing_since = None
                with self._lock:
                    self._alive_at.update((lease, began) for lease in leases if lease in self._lost)
        self._give_up(lost)

    def _give_up(self, lost: set[int]) -> None:
        """Tell who holds a lease that is lost, or that has not been renewed for as long as it lives."""
        now = self._clock()
        with self._lock:
            silent = {lease for lease, at in self._alive_at.items() if now - at >= self._lives[lease]}
            calls = [self._lost.pop(lease) for lease in lost | silent if lease in self._lost]
            for lease in lost | silent:
                self._forget(lease)
        for call in calls:
            call()
