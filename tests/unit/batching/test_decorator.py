"""What ``@batch`` and its options refuse, before anything is called."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill import Adaptive, Linger, Processes, Retry, Threads, batch
from gristmill.errors import ConfigurationError


def handler(items: list[int]) -> list[int]:
    return items


@pytest.mark.parametrize("executor", [Threads, Processes, "threads", object()])
def test_what_is_no_executor_is_refused_before_a_call_can_hang_on_it(executor: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Processes\(\) or Ray\(\), with parentheses"):
        batch(executor=executor)(handler)


def test_a_name_is_a_string() -> None:
    with pytest.raises(ConfigurationError, match="name is a string, not 3"):
        batch(name=3)(handler)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Retry, {"base": "1"}),
        (Retry, {"cap": None}),
        (Retry, {"factor": "2"}),
        (Linger, {"cost": "1"}),
        (Linger, {"max_wait": None}),
        (Adaptive, {"target_latency": "1"}),
        (Adaptive, {"efficiency": "1"}),
        (Threads, {"workers": "2"}),
        (Processes, {"workers": 1.5}),
    ],
)
def test_what_is_no_number_is_refused_by_name(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        kind(**options)
