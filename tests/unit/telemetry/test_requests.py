from __future__ import annotations

from gristmill.telemetry.requests import RequestCounter


def test_answers_are_counted_by_handler_route_and_status():
    counter = RequestCounter({"users"})

    for code in (200, 200, 503):
        counter.count("users", "batch", code)
    counter.count("", "service", 200)

    assert counter.snapshot() == {
        ("", "service", 200): 1,
        ("users", "batch", 200): 2,
        ("users", "batch", 503): 1,
    }
    assert repr(counter) == "RequestCounter(answers=4, series=3)"


def test_what_callers_make_up_never_becomes_a_label():
    counter = RequestCounter({"users"})

    for number in range(50):
        counter.count(f"/wp-admin/{number}", f"route{number}", 1000 + number)

    assert counter.snapshot() == {("", "other", 0): 50}


def test_a_handler_added_later_is_counted_by_name():
    handlers = {"users": object()}
    counter = RequestCounter(handlers)

    handlers["orders"] = object()
    counter.count("orders", "single", 200)

    assert counter.snapshot() == {("orders", "single", 200): 1}


def test_a_snapshot_does_not_change_when_counting_goes_on():
    counter = RequestCounter({"users"})
    before = counter.snapshot()

    counter.count("users", "single", 200)

    assert before == {}
