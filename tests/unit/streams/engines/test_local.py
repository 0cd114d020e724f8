from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.engines.local import LocalPool


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 0}, "workers=0"),
        ({"max_tasks": 0}, "max_tasks=0"),
        ({"max_rss": -1}, "max_rss=-1"),
        ({"start_method": "fork"}, "use one of"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], text: str):
    with pytest.raises(ConfigurationError, match=text):
        LocalPool(**options)  # type: ignore[arg-type]


def test_a_timeout_is_positive():
    with pytest.raises(ConfigurationError, match="timeout=0"):
        LocalPool(1).start(object(), timeout=0)  # type: ignore[arg-type]


def test_a_pool_that_does_not_run_says_so():
    pool = LocalPool(3)
    assert repr(pool) == "LocalPool(workers=3) <0 started, 0 ready, 0 tasks, 0 in line>"
    assert (pool.workers, pool.room) == (3, 6)
    assert not pool.wait()
    pool.stop()
