"""Dead items: how many there are of what, and their second life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gristmill.model.queue import DeadFilter, DeadGroup
from gristmill.queue.redis.links import Links
from gristmill.queue.redis.records import ChunkRow, id_text, row_from

AT_ONCE = 500
"""Chunks of one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    slot: str
    group: DeadGroup


class Dead:
    """The dead items of a store."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def groups(self, which: DeadFilter) -> list[DeadGroup]:
        """Return dead items by queue and code, the largest group first."""
        if which.job is None and which.before is None:
            found = [each.group for each in await self._groups(which)]
        else:
            found = await self._counted(which)
        return sorted(found, key=lambda group: (-group.items, group.queue, group.code))

    async def _groups(self, which: DeadFilter) -> list[_Group]:
        reply = await self._links.run("dead_groups")
        found = []
        for at in range(0, len(reply), 5):
            slot, items, first_at, last_at, error = reply[at : at + 5]
            queue, code = _parts(slot)
            if which.queue in (None, queue) and which.code in (None, code):
                group = DeadGroup(
                    queue=queue,
                    code=code,
                    items=int(items),
                    first_at=float(first_at),
                    last_at=float(last_at),
                    error=None if error is None else error.decode(),
                )
                found.append(_Group(slot=slot.decode(), group=group))
        return found

    async def _counted(self, which: DeadFilter) -> list[DeadGroup]:
        rows: dict[tuple[str, str], list[ChunkRow]] = {}
        async for _, row in self._chunks(which):
            rows.setdefault((row.queue, str(row.code)), []).append(row)
        return [
            DeadGroup(
                queue=queue,
                code=code,
                items=sum(row.items for row in of),
                first_at=of[0].dead_at,
                last_at=of[-1].dead_at,
                error=of[-1].error if isinstance(of[-1].error, str) else None,
            )
            for (queue, code), of in rows.items()
        ]

    async def _chunks(self, which: DeadFilter) -> AsyncIterator[tuple[str, ChunkRow]]:
        """Yield ids and rows of dead chunks, of each group the oldest first."""
        if which.job is not None:
            names = [f"dead_of:{which.job}"]
        else:
            names = [f"dead:{each.slot}" for each in await self._groups(which)]
        for name in names:
            passed = 0
            while reply := await self._links.run("dead_chunks", name, passed, AT_ONCE):
                passed += len(reply) // 2
                for at in range(0, len(reply), 2):
                    row = row_from(reply[at + 1])
                    if _matches(row, which):
                        yield id_text(int(reply[at])), row

    async def redrive(self, which: DeadFilter, *, limit: int) -> int:
        """Let dead items run again, some at a time."""
        ids = sorted([number async for number, _ in self._chunks(which)])  # the oldest run first
        redriven = 0
        for at in range(0, len(ids), AT_ONCE):
            if redriven < limit:
                redriven += await self._links.run("redrive", limit - redriven, *ids[at : at + AT_ONCE])
        return redriven


def _matches(row: ChunkRow, which: DeadFilter) -> bool:
    return (
        which.queue in (None, row.queue)
        and which.code in (None, row.code)
        and (which.before is None or row.dead_at < which.before)
    )


def _parts(slot: bytes) -> tuple[str, str]:
    """Return queue and code of what ``slot`` in ``tables.lua`` named."""
    length, _, rest = slot.partition(b":")
    end = int(length)
    return rest[:end].decode(), rest[end + 1 :].decode()
