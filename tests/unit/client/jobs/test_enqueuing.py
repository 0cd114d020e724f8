from __future__ import annotations

import datetime as dt

import pytest

from gristmill.client.jobs.enqueuing import query_of
from gristmill.errors import ConfigurationError


def test_options_become_parameters() -> None:
    at = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    found = query_of({"key": "a", "priority": 2, "run_at": at, "strict": True})
    assert found == {"key": "a", "priority": 2, "run_at": "2026-01-31T12:00:00+00:00"}


def test_what_no_server_can_understand_is_refused_before_it_is_asked() -> None:
    with pytest.raises(ConfigurationError, match="run_at needs a zone"):
        query_of({"run_at": dt.datetime(2026, 1, 31)})  # noqa: DTZ001 - that is the fault
    with pytest.raises(ConfigurationError, match="key has half a surrogate pair"):
        query_of({"key": "\udcff"})
