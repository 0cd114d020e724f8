"""The callers' ids of items: what they may be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gristmill.errors import ConfigurationError

ITEM_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What an id is, wherever it comes from: it stands in URLs, headers and logs."""


def check_item_ids(ids: Sequence[object], items: int) -> None:
    """Refuse *ids* that do not belong to so many *items*, one each or None, every one once.

    Raises:
        ConfigurationError: With what to do.
    """
    if len(ids) != items:
        raise ConfigurationError(f"there are {len(ids)} ids for {items} items: give each item one, or None")
    seen: set[str] = set()
    for place, one in enumerate(ids):
        if one is None:
            continue
        if not isinstance(one, str) or ITEM_ID.fullmatch(one) is None:
            raise ConfigurationError(
                f"the id of item {place} is {one!r}: use 1 to 128 letters, digits, or . _ : - of ASCII"
            )
        if one in seen:
            raise ConfigurationError(f"the id {one!r} is given twice, the second time to item {place}")
        seen.add(one)
