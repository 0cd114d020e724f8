"""How much a server takes at once: it breaks off a call that is larger, as if it were gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gristmill.errors import StoreError

ASKED = ("proto-max-bulk-len", "client-query-buffer-limit")
"""The settings that are wanted of ``CONFIG GET``."""

_SPARE = 1 << 20  # bytes of a call beside its arguments, at most


@dataclass(slots=True)
class Sizes:
    """What a server takes, its defaults until it is asked.

    Attributes:
        value: Bytes of one argument of a call.
        call: Bytes of all of them.
    """

    value: int = 512 << 20
    call: int = 1 << 30

    def learn(self, config: Mapping[str, str]) -> None:
        """Take over what ``CONFIG GET`` told; managed servers forbid it."""
        self.value = int(config.get(ASKED[0], self.value))
        self.call = int(config.get(ASKED[1], self.call))

    def check(self, args: Iterable[object]) -> None:
        """Refuse a call that the server would break off.

        Raises:
            StoreError: One of *args* is too large, or all together are; no other try would help.
        """
        sizes = [len(arg) for arg in args if isinstance(arg, bytes | str)]
        if sizes and max(sizes) > self.value:
            self._refuse(max(sizes), "for one chunk", ASKED[0], self.value)
        if sum(sizes) > self.call - _SPARE:
            self._refuse(sum(sizes), "at once", ASKED[1], self.call)

    def _refuse(self, size: int, what: str, setting: str, limit: int) -> None:
        raise StoreError(
            f"{size} bytes are more than the server takes {what}: {setting} is {limit}; raise it, "
            "or make items, values or batches smaller"
        )
