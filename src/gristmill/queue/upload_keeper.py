"""Keeps uploads alive while they are taken in, from a thread that a busy event loop cannot hold up.

A client may send nothing for a while, and a handler or a source may block
the loop: neither is the death of the process, which the store tells from the
silence about an upload.
"""

from __future__ import annotations

import asyncio
import logging
import threading

from gristmill.errors import JobNotFound
from gristmill.queue.store import ABANDONED, Store

_LOG = logging.getLogger("gristmill.queue")
_EVERY = ABANDONED / 4


class UploadKeeper:
    """Touches uploads every some seconds until they are dropped; its thread lives while there are any.

    Args:
        store: Where they are; its twin is used in the thread.
        seconds: Between two touches.
    """

    def __init__(self, store: Store, seconds: float | None = None) -> None:
        self._store = store
        self._seconds = _EVERY if seconds is None else seconds
        self._changed = threading.Condition()
        self._uploads: set[str] = set()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        """Show how many it keeps."""
        return f"<UploadKeeper of {len(self._uploads)} uploads>"

    def keep(self, job: str) -> None:
        """Touch the upload *job* from now on."""
        with self._changed:
            self._uploads.add(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="gristmill uploads", daemon=True)
                self._thread.start()

    def drop(self, job: str) -> None:
        """Touch *job* no longer; harmless if it is not kept."""
        with self._changed:
            self._uploads.discard(job)
            self._changed.notify_all()

    def _main(self) -> None:
        store = self._store.twin()
        with asyncio.Runner() as runner:
            while self._is_needed():
                runner.run(self._touch_all(store))
            if store is not self._store:
                runner.run(store.close())

    def _is_needed(self) -> bool:
        """Wait for the next touch; False, and no thread any more, once there is nothing to touch."""
        with self._changed:
            self._changed.wait_for(lambda: not self._uploads, self._seconds)
            if not self._uploads:
                self._thread = None
            return bool(self._uploads)

    async def _touch_all(self, store: Store) -> None:
        with self._changed:
            uploads = list(self._uploads)
        try:
            for job in uploads:
                await self._touch(store, job)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next touch may succeed
            _LOG.warning("keeping %d uploads alive failed, and is tried again: %s", len(uploads), error)

    async def _touch(self, store: Store, job: str) -> None:
        try:
            await store.add(job, ())
        except JobNotFound:  # whoever takes it in hears of it with the next items
            self.drop(job)
