from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as families

from gristmill.errors import ConfigurationError
from gristmill.model.histogram import Histogram
from gristmill.model.queue import BreakerState, BreakerStatus, QueueStatus
from gristmill.model.sizing import SizeBound, Sizing
from gristmill.model.stats import Stats
from gristmill.telemetry.prometheus import exposition, register
from gristmill.telemetry.requests import RequestCounter

USERS = Stats(
    name="users",
    pending=7,
    pending_weight=70.5,
    running_batches=2,
    running_items=40,
    slots=4,
    oldest_age=0.25,
    batches=9,
    items={"ok": 100, "failed": 3, "cancelled": 1},
    errors={"handler_error": 2},
    flushes={"size": 5, "idle": 4},
    batch_size=Histogram(bounds=(1, 10, 100), counts=(2, 3, 4, 1), total=777.0),
    batch_duration=Histogram(bounds=(0.01, 0.5), counts=(6, 3, 0), total=0.9),
    queue_wait=Histogram(bounds=(0.0001, 1.0), counts=(0, 0, 0), total=0.0),
    sizing=None,
)
LEARNT = replace(
    USERS,
    name="learnt",
    sizing=Sizing(
        cap=64, bound=SizeBound.EFFICIENCY, fixed_cost=0.02, item_cost=0.001, sigma=0.1, samples=30
    ),
)


@dataclass
class Watched:
    name: str
    pending: int = 0

    def stats(self):
        return replace(USERS, name=self.name, pending=self.pending)


LABELS = ("handler", "route", "outcome", "reason", "bound", "code", "le")


def samples(text):
    """The value of each sample by its name and its labels, in the order of LABELS."""
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in families(text)
        for sample in family.samples
    }


def scraped(*stats, requests=None):
    content_type, body = exposition(stats, requests)
    assert content_type.startswith("text/plain; version=0.0.4")
    return samples(body.decode())


def test_gauges_and_counters_carry_the_numbers_of_the_snapshot():
    found = scraped(USERS)

    assert found["gristmill_pending_items", "users"] == 7
    assert found["gristmill_pending_weight", "users"] == 70.5
    assert found["gristmill_oldest_item_age_seconds", "users"] == 0.25
    assert found["gristmill_running_batches", "users"] == 2
    assert found["gristmill_running_items", "users"] == 40
    assert found["gristmill_batch_slots", "users"] == 4
    assert found["gristmill_items_total", "users", "failed"] == 3
    assert found["gristmill_batch_flushes_total", "users", "size"] == 5
    assert found["gristmill_batch_errors_total", "users", "handler_error"] == 2


def test_histogram_buckets_are_cumulative_and_end_at_the_count():
    found = scraped(USERS)

    sizes = [
        found["gristmill_batch_size_items_bucket", "users", le] for le in ("1.0", "10.0", "100.0", "+Inf")
    ]
    assert sizes == [2, 5, 9, 10]
    assert found["gristmill_batch_size_items_count", "users"] == 10
    assert found["gristmill_batch_size_items_sum", "users"] == 777.0
    assert found["gristmill_batch_duration_seconds_bucket", "users", "0.01"] == 6
    assert found["gristmill_queue_wait_seconds_count", "users"] == 0


def test_what_was_learnt_is_shown_for_handlers_that_learn_only():
    found = scraped(USERS, LEARNT)

    assert found["gristmill_batch_size_cap", "learnt"] == 64
    assert found["gristmill_sizing_fixed_cost_seconds", "learnt"] == 0.02
    assert found["gristmill_sizing_item_cost_seconds", "learnt"] == 0.001
    assert found["gristmill_sizing_sigma_ratio", "learnt"] == 0.1
    assert found["gristmill_sizing_bound", "learnt", "efficiency"] == 1
    assert ("gristmill_batch_size_cap", "users") not in found


def test_requests_are_counted_by_handler_route_and_code():
    requests = RequestCounter({"users"})
    requests.count("users", "batch", 200)
    requests.count("/etc/passwd", "batch", 404)

    found = scraped(USERS, requests=requests)

    assert found["gristmill_requests_total", "users", "batch", "200"] == 1
    assert found["gristmill_requests_total", "", "batch", "404"] == 1


def test_a_name_with_quotes_and_newlines_stays_one_label():
    found = scraped(replace(USERS, name='a"b\\c\nd'))

    assert found["gristmill_pending_items", 'a"b\\c\nd'] == 7


def test_openmetrics_is_sent_where_it_is_asked_for():
    content_type, body = exposition(
        [USERS], accept="application/openmetrics-text;version=1.0.0;q=0.9,text/plain"
    )

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert {family.name for family in openmetrics_families(body.decode())} >= {
        "gristmill_items",
        "gristmill_batch_size_items",
        "gristmill_pending_items",
    }


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=x.y", "text/plain; version=9e9", ",;=", "é"]
)
def test_no_accept_header_breaks_a_scrape_or_comes_back_in_it(accept):
    content_type, body = exposition([USERS], accept=accept)

    assert b"gristmill_pending_items" in body
    assert "x.y" not in content_type
    assert "9e9" not in content_type


def test_every_family_says_what_it_is():
    _, body = exposition([LEARNT], RequestCounter({}))

    assert all(family.documentation and family.type != "unknown" for family in families(body.decode()))


def test_registered_handlers_are_read_anew_at_each_scrape():
    registry = CollectorRegistry(auto_describe=True)
    handler = Watched("users")
    collector = register(registry, [handler])

    handler.pending = 3
    first = samples(generate_latest(registry).decode())
    handler.pending = 4
    second = samples(generate_latest(registry).decode())
    registry.unregister(collector)

    assert first["gristmill_pending_items", "users"] == 3
    assert second["gristmill_pending_items", "users"] == 4
    assert generate_latest(registry) == b""


def test_a_registry_refuses_the_same_families_twice():
    registry = CollectorRegistry(auto_describe=True)
    register(registry, [Watched("users")])

    with pytest.raises(ValueError, match="gristmill_pending_items"):
        register(registry, [Watched("orders")])


def test_two_handlers_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match="users"):
        register(CollectorRegistry(), [Watched("users"), Watched("users")])


def test_the_global_registry_is_left_alone():
    exposition([USERS], RequestCounter({}))

    assert b"gristmill" not in generate_latest(REGISTRY)


def test_queues_are_shown_by_state_where_there_are_any() -> None:
    queue = QueueStatus(
        name="echo", is_paused=True, ready=3, scheduled=2, blocked=1, running=4, dead=5, oldest_age=1.5
    )
    text = exposition([], None, [queue])[1].decode()
    assert 'gristmill_queue_items{queue="echo",state="ready"} 3.0' in text
    assert 'gristmill_queue_items{queue="echo",state="dead"} 5.0' in text
    assert 'gristmill_queue_oldest_age_seconds{queue="echo"} 1.5' in text
    assert 'gristmill_queue_paused{queue="echo"} 1.0' in text
    assert "gristmill_queue_items" not in exposition([])[1].decode()


def test_breakers_are_shown_by_queue_where_a_worker_has_any() -> None:
    states = (BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN)
    breakers = [BreakerStatus(queue=state, state=state, openings=3) for state in states]
    text = exposition([], breakers=breakers)[1].decode()
    assert 'gristmill_queue_breaker_open{queue="closed"} 0.0' in text
    assert 'gristmill_queue_breaker_open{queue="open"} 1.0' in text
    assert 'gristmill_queue_breaker_open{queue="half_open"} 1.0' in text
    assert 'gristmill_queue_breaker_openings_total{queue="open"} 3.0' in text
    assert "gristmill_queue_breaker" not in exposition([])[1].decode()
