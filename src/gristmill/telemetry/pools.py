"""Prometheus: how the pools of database connections stand.

::

    register(REGISTRY, [pool, writer])  # whatever has stats() of a pool
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gristmill.model.pool import Pooled, PoolStats, told_apart

# name, help, value
_GAUGES: Sequence[tuple[str, str, Callable[[PoolStats], float]]] = (
    ("size_connections", "Connections the pool may have.", lambda p: p.size),
    ("open_connections", "Connections the pool has.", lambda p: p.open),
    ("used_connections", "Connections in use.", lambda p: p.in_use),
    ("idle_connections", "Connections that wait to be used.", lambda p: p.idle),
    ("waiting_callers", "Callers that wait for a connection.", lambda p: p.waiting),
)
_COUNTERS: Sequence[tuple[str, str, Callable[[PoolStats], float]]] = (
    ("acquired", "Connections lent.", lambda p: p.acquired),
    ("wait_seconds", "Time that callers waited for a connection.", lambda p: p.wait_seconds),
    ("timeouts", "Callers that got no connection in time.", lambda p: p.timeouts),
    ("lost_connections", "Connections that broke.", lambda p: p.lost),
    ("round_trips", "Statements of writers and loaders.", lambda p: p.round_trips),
)


class PoolCollector(Collector):
    """Makes metric families from fresh snapshots at each scrape.

    Args:
        pools: Of different names.
    """

    def __init__(self, pools: Sequence[Pooled]) -> None:
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        """Yield every family, with the samples of this moment."""
        snapshots = [pool.stats() for pool in self._pools]
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(f"gristmill_pool_{name}", text, labels=["pool"])
            for stats in snapshots:
                gauge.add_metric([stats.name], value(stats))
            yield gauge
        for name, text, value in _COUNTERS:
            counter = CounterMetricFamily(f"gristmill_pool_{name}", text, labels=["pool"])
            for stats in snapshots:
                counter.add_metric([stats.name], value(stats))
            yield counter


def register(registry: CollectorRegistry, pools: Iterable[Pooled]) -> PoolCollector:
    """Show *pools* on a ``/metrics`` of the user's own, through *registry*.

    Returns:
        The collector; ``registry.unregister(collector)`` takes it out again.

    Raises:
        ConfigurationError: Two pools have one name, so their series would be one.
        ValueError: The registry has families of these names already.
    """
    collector = PoolCollector(told_apart(pools))
    registry.register(collector)
    return collector
