"""How long a server asks its callers to wait: ``Retry-After`` and ``RateLimit``. Pure."""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import re
from collections.abc import Mapping

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,6})?")
_PARAMETER = re.compile(r";\s*([a-z]+)\s*=\s*(\d{1,18})")


def asked_wait(headers: Mapping[str, str], wall: float) -> float | None:
    """Return the seconds to wait that *headers* ask for; None if they ask for none.

    ``Retry-After`` wins over ``RateLimit``, whose reset only counts when nothing is left
    (draft-ietf-httpapi-ratelimit-headers).

    Args:
        headers: By name in lower case.
        wall: The time of day, in seconds of the epoch.
    """
    found = retry_after(headers.get("retry-after"), wall)
    return rate_limit_wait(headers.get("ratelimit")) if found is None else found


def retry_after(value: str | None, wall: float) -> float | None:
    """Return the seconds that ``Retry-After`` means, given in seconds or as a date; None for none.

    >>> retry_after("120", 0.0)
    120.0
    >>> retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 10.0)
    20.0
    """
    if value is None:
        return None
    text = value.split(",")[0].strip() if _SECONDS.match(value) else value.strip()
    if _SECONDS.fullmatch(text) is not None:
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=dt.UTC)
    return max(0.0, at.timestamp() - wall)


def told_limits(value: str) -> dict[str, dict[str, int]]:
    """Return the numbers that ``RateLimit`` has for each policy, by its name as it stands there.

    >>> told_limits('"items";r=0;t=41, "burst";r=3;t=1')
    {'"items"': {'r': 0, 't': 41}, '"burst"': {'r': 3, 't': 1}}
    """
    return {
        policy.partition(";")[0].strip(): {name: int(number) for name, number in _PARAMETER.findall(policy)}
        for policy in value.split(",")
    }


def rate_limit_wait(value: str | None) -> float | None:
    """Return the seconds until the quota comes back, if a policy in ``RateLimit`` has none left.

    >>> rate_limit_wait('"items";r=0;t=41, "burst";r=3;t=1')
    41.0
    >>> rate_limit_wait('"items";r=12;t=41') is None
    True
    """
    longest = -math.inf
    for told in told_limits(value or "").values():
        if told.get("r") == 0 and "t" in told:
            longest = max(longest, float(told["t"]))
    return None if longest < 0 else longest
