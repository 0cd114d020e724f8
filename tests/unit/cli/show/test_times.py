from __future__ import annotations

import pytest

from gristmill.cli.show.times import instant, rfc3339, span
from gristmill.errors import ConfigurationError


def test_spans_are_in_their_largest_unit() -> None:
    assert [span(each) for each in (-5, 0.9, 59.9, 60, 3599, 3600, 86_399, 864_000)] == [
        *("0s", "0s", "59s", "1m", "59m", "1h", "23h", "10d")
    ]


def test_instants_are_utc_with_milliseconds_for_programs() -> None:
    assert rfc3339(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"
    assert rfc3339(None) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0s", 1000.0),
        ("90s", 910.0),
        ("2m", 880.0),
        ("1h", -2600.0),
        ("1d", -85_400.0),
        ("1970-01-01T00:00:07Z", 7.0),
        ("1970-01-01T01:00:07+01:00", 7.0),
    ],
)
def test_an_instant_is_a_date_or_a_span_before_now(text: str, at: float) -> None:
    assert instant(text, 1000.0) == at


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "2w", "soon", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time"):
        instant(text, 0.0)
