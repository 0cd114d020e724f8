"""What all routes of one handler share."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.codec.results import ResultCodec
from gristmill.http.codec import item_codec
from gristmill.http.drain import Drain
from gristmill.http.problems import Statuses
from gristmill.http.replays import Replays
from gristmill.http.settings import HttpLimits
from gristmill.http.verdicts import Verdicts, retry_after
from gristmill.http.watch import Watch


class Bench:
    """The codecs, limits and verdicts of one handler.

    Args:
        handler: Answers the items.
        limits: What a request may cost.
        statuses: Which code has which status.
        drain: Whether new requests are taken.
        replays: Answers to requests with a key; None: of this handler alone.

    Raises:
        ConfigurationError: Items of the handler's type cannot be read from JSON.
    """

    def __init__(
        self,
        handler: BatchHandler[Any, Any],
        limits: HttpLimits,
        statuses: Statuses,
        drain: Drain,
        replays: Replays | None = None,
    ) -> None:
        self.handler = handler
        self.items = item_codec(handler.item_type)
        self.results = ResultCodec()
        self.limits = limits
        self.verdicts = Verdicts(handler.name, statuses)
        self.drain = drain
        self.replays = Replays(limits) if replays is None else replays
        self._watch: Watch | None = None

    def watch(self) -> Watch:
        """Return the watch of the running loop."""
        watch = self._watch
        if watch is None or watch.loop is not asyncio.get_running_loop():
            watch = self._watch = Watch(self.limits.body_timeout)
        return watch

    def retry_after(self) -> int:
        """Return the seconds after which another try makes sense."""
        return retry_after(self.handler.stats(), random.random())  # noqa: S311 - spreads load, protects nothing

    def is_too_heavy(self, item: Any) -> bool:
        """Tell whether no batch of the handler can hold *item*."""
        limits = self.handler.limits
        return (
            limits.weigh is not None
            and limits.max_weight is not None
            and limits.weigh(item) > limits.max_weight
        )
