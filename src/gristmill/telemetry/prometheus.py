"""Prometheus: the statistics of handlers as metric families, in the text of the format asked for.

Families are made from ``Stats`` snapshots at each scrape; nothing here is
counted twice or kept. Units are base units, labels are names the application
declared. Needs the extra ``telemetry``; the modules of this room are the only ones
that import ``prometheus_client``, and they never touch its global registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gristmill.errors import ConfigurationError
from gristmill.model.histogram import Histogram
from gristmill.model.pool import Pooled
from gristmill.model.queue import BreakerState, BreakerStatus, QueueStatus
from gristmill.model.sizing import Sizing
from gristmill.model.stats import Stats
from gristmill.telemetry.pools import PoolCollector
from gristmill.telemetry.requests import RequestCounter

__all__ = ["HandlerCollector", "QueueCollector", "RequestCounter", "Watched", "exposition", "register"]

_OPENMETRICS = "application/openmetrics-text"

# name, help, value
_GAUGES: Sequence[tuple[str, str, Callable[[Stats], float]]] = (
    ("pending_items", "Items buffered, not yet in a batch.", lambda s: s.pending),
    ("pending_weight", "Summed weight of the buffered items.", lambda s: s.pending_weight),
    ("oldest_item_age_seconds", "Age of the oldest buffered item.", lambda s: s.oldest_age),
    ("running_batches", "Handler calls in progress.", lambda s: s.running_batches),
    ("running_items", "Items in the handler calls in progress.", lambda s: s.running_items),
    ("batch_slots", "Batches that may run at once.", lambda s: s.slots),
)

# The same, for handlers whose batch size or wait is learnt.
_SIZING_GAUGES: Sequence[tuple[str, str, Callable[[Sizing], float]]] = (
    ("batch_size_cap", "Most items of the next batch, as learnt.", lambda z: z.cap),
    ("sizing_fixed_cost_seconds", "Learnt cost of a batch whatever its size.", lambda z: z.fixed_cost),
    ("sizing_item_cost_seconds", "Learnt cost that each item adds.", lambda z: z.item_cost),
    ("sizing_sigma_ratio", "Relative deviation of batch times from the learnt costs.", lambda z: z.sigma),
)

# name, help, label, value -> count
_COUNTERS: Sequence[tuple[str, str, str, Callable[[Stats], Mapping[str, int]]]] = (
    ("items", "Items answered, by outcome.", "outcome", lambda s: s.items),
    ("batch_flushes", "Batches formed, by why they left the buffer.", "reason", lambda s: s.flushes),
    ("batch_errors", "Handler calls that gave no usable reply, by code.", "code", lambda s: s.errors),
)

_HISTOGRAMS: Sequence[tuple[str, str, Callable[[Stats], Histogram]]] = (
    ("batch_size_items", "Items per handler call.", lambda s: s.batch_size),
    ("batch_duration_seconds", "Duration of handler calls.", lambda s: s.batch_duration),
    ("queue_wait_seconds", "Wait of items from arrival to their handler call.", lambda s: s.queue_wait),
)


_QUEUE_STATES = ("ready", "scheduled", "blocked", "running", "dead")

_QUEUE_GAUGES: Sequence[tuple[str, str, Callable[[QueueStatus], float]]] = (
    ("oldest_age_seconds", "Time that the oldest due item has been due.", lambda q: q.oldest_age),
    ("paused", "1 while nothing is taken from the queue.", lambda q: q.is_paused),
)


class Watched(Protocol):
    """What a handler must tell to be watched; every ``BatchHandler`` does."""

    @property
    def name(self) -> str:
        """The value of the label ``handler``."""

    def stats(self) -> Stats:
        """Return a snapshot of this moment."""


class HandlerCollector(Collector):
    """Makes metric families from fresh snapshots at each scrape.

    Args:
        snapshots: Called once a scrape, in the thread that scrapes; gives one
            ``Stats`` per handler, of different names.
        requests: HTTP answers to show as well; None leaves that family out.
    """

    def __init__(
        self, snapshots: Callable[[], Iterable[Stats]], requests: RequestCounter | None = None
    ) -> None:
        self._snapshots = snapshots
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        """Yield every family, with the samples of this moment."""
        yield from _handler_families(tuple(self._snapshots()))
        if self._requests is not None:
            yield _request_family(self._requests)

    def describe(self) -> Iterator[Metric]:
        """Yield every family without samples: a registry asks for names before there is a loop."""
        yield from _handler_families(())
        if self._requests is not None:
            yield _request_family(RequestCounter(()))


def exposition(
    stats: Iterable[Stats],
    requests: RequestCounter | None = None,
    queues: Iterable[QueueStatus] | None = None,
    pools: Sequence[Pooled] = (),
    breakers: Sequence[BreakerStatus] = (),
    *,
    accept: str = "",
) -> tuple[str, bytes]:
    """Return the media type and the body of a scrape.

    Args:
        stats: One snapshot per handler, of different names.
        requests: HTTP answers to show as well.
        queues: How the durable queues stand, of different names; None leaves those families out.
        pools: Of connections to databases, of different names.
        breakers: Of the queues that a worker of this process works.
        accept: The ``Accept`` header of the scrape; OpenMetrics 1.0 where it
            names that, else the Prometheus text format.
    """
    snapshots = tuple(stats)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HandlerCollector(lambda: snapshots, requests))
    if queues is not None:
        registry.register(QueueCollector(tuple(queues)))
    if pools:
        registry.register(PoolCollector(pools))
    if breakers:
        registry.register(BreakerCollector(breakers))
    # The header is the caller's: only a text of our own goes to the library,
    # which would parse the version in it and repeat it in the answer.
    wanted = f"{_OPENMETRICS}; version=1.0.0" if _OPENMETRICS in accept.lower() else ""
    encode, content_type = choose_encoder(wanted)
    return content_type, encode(registry)


def register(
    registry: CollectorRegistry, handlers: Iterable[Watched], requests: RequestCounter | None = None
) -> HandlerCollector:
    """Show *handlers* on a ``/metrics`` of the user's own, through *registry*.

    Returns:
        The collector; ``registry.unregister(collector)`` takes it out again.

    Raises:
        ConfigurationError: Two handlers have one name, so their series would be one.
        ValueError: The registry has families of these names already.
    """
    watched = tuple(handlers)
    names = [handler.name for handler in watched]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(
            f"handlers need different names to be told apart: {', '.join(twice)}; give name=..."
        )
    collector = HandlerCollector(lambda: (handler.stats() for handler in watched), requests)
    registry.register(collector)
    return collector


class QueueCollector(Collector):
    """Makes metric families of how the durable queues stand.

    Args:
        queues: Of different names.
    """

    def __init__(self, queues: Sequence[QueueStatus]) -> None:
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        items = GaugeMetricFamily(
            "gristmill_queue_items", "Items of a durable queue, by state.", labels=["queue", "state"]
        )
        for queue in self._queues:
            for state in _QUEUE_STATES:
                items.add_metric([queue.name, state], getattr(queue, state))
        yield items
        for name, text, value in _QUEUE_GAUGES:
            gauge = GaugeMetricFamily(f"gristmill_queue_{name}", text, labels=["queue"])
            for queue in self._queues:
                gauge.add_metric([queue.name], value(queue))
            yield gauge


class BreakerCollector(Collector):
    """Makes metric families of the circuit breakers of the worker in this process.

    Args:
        breakers: Of different queues.
    """

    def __init__(self, breakers: Sequence[BreakerStatus]) -> None:
        self._breakers = breakers

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        is_open = GaugeMetricFamily(
            "gristmill_queue_breaker_open",
            "1 while this process claims nothing from the queue, or one batch to try it: all had failed.",
            labels=["queue"],
        )
        openings = CounterMetricFamily(
            "gristmill_queue_breaker_openings",
            "Times that the circuit breaker of the queue opened.",
            labels=["queue"],
        )
        for breaker in self._breakers:
            is_open.add_metric([breaker.queue], breaker.state is not BreakerState.CLOSED)
            openings.add_metric([breaker.queue], breaker.openings)
        yield is_open
        yield openings


def _handler_families(snapshots: tuple[Stats, ...]) -> Iterator[Metric]:
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(f"gristmill_{name}", text, labels=["handler"])
        for stats in snapshots:
            gauge.add_metric([stats.name], value(stats))
        yield gauge
    yield from _sizing_families(
        [(stats.name, stats.sizing) for stats in snapshots if stats.sizing is not None]
    )
    for name, text, label, counts in _COUNTERS:
        counter = CounterMetricFamily(f"gristmill_{name}", text, labels=["handler", label])
        for stats in snapshots:
            for key, count in counts(stats).items():
                counter.add_metric([stats.name, str(key)], count)
        yield counter
    for name, text, recorded in _HISTOGRAMS:
        histogram = HistogramMetricFamily(f"gristmill_{name}", text, labels=["handler"])
        for stats in snapshots:
            histogram.add_metric([stats.name], _buckets(recorded(stats)), recorded(stats).total)
        yield histogram


def _sizing_families(learnt: list[tuple[str, Sizing]]) -> Iterator[Metric]:
    for name, text, value in _SIZING_GAUGES:
        gauge = GaugeMetricFamily(f"gristmill_{name}", text, labels=["handler"])
        for handler, sizing in learnt:
            gauge.add_metric([handler], value(sizing))
        yield gauge
    bound = GaugeMetricFamily(
        "gristmill_sizing_bound", "1 at the term that sets the size cap now.", labels=["handler", "bound"]
    )
    for handler, sizing in learnt:
        bound.add_metric([handler, str(sizing.bound)], 1)
    yield bound


def _request_family(requests: RequestCounter) -> Metric:
    counter = CounterMetricFamily(
        "gristmill_requests", "HTTP answers, by status.", labels=["handler", "route", "code"]
    )
    for (handler, route, code), count in requests.snapshot().items():
        counter.add_metric([handler, route, str(code)], count)
    return counter


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return (upper bound, values at or below it), as the text format counts them."""
    bounds = (*map(floatToGoString, histogram.bounds), "+Inf")
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
