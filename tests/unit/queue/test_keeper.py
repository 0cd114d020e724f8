"""When leases are renewed, and when they are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gristmill.queue.keeper import LeaseKeeper
from gristmill.queue.memory.store import MemoryStore

pytestmark = pytest.mark.looptime


class Silent(MemoryStore):
    """A store that does not answer, as behind a line that went dead."""

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        await asyncio.Event().wait()
        return await super().renew(leases, seconds)

    def twin(self) -> Silent:
        return self


@pytest.mark.parametrize(("kept_at", "late"), [(0.0, 0.0), (4.0, 0.0), (14.0, 0.0), (14.0, 12.0)])
async def test_a_lease_that_cannot_be_renewed_is_given_up_when_it_dies_and_no_later(
    kept_at: float, late: float
) -> None:
    now = asyncio.get_running_loop().time
    keeper = LeaseKeeper(Silent(), 30.0, clock=now)
    keeping = asyncio.create_task(keeper._keep_all())  # noqa: SLF001 - on this loop, for its clock
    lost: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    await asyncio.sleep(kept_at)
    keeper.keep(7, lambda: lost.set_result(now()), since=keeper.now() - late)
    assert await lost == pytest.approx(kept_at - late + 30.0, abs=1e-3)
    keeping.cancel()
    await asyncio.wait([keeping])


class Buggy(MemoryStore):
    """A store whose renewals fail by a bug, the first three times."""

    renewals = 0

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        self.renewals += 1
        if self.renewals <= 3:
            raise ZeroDivisionError
        return set()

    def twin(self) -> Buggy:
        return self


async def test_a_renewal_that_fails_by_a_bug_is_tried_again_and_makes_the_keeper_shaky(caplog: Any) -> None:
    now = asyncio.get_running_loop().time
    store = Buggy()
    keeper = LeaseKeeper(store, 40.0, clock=now)
    keeping = asyncio.create_task(keeper._keep_all())  # noqa: SLF001 - on this loop, for its clock
    lost: list[int] = []
    keeper.keep(7, lambda: lost.append(7))
    await asyncio.sleep(39.0)
    assert (store.renewals, keeper.is_shaky, lost) == (2, True, [])
    (said,) = caplog.records
    assert said.exc_info[0] is ZeroDivisionError
    await asyncio.sleep(100.0)
    assert (lost, keeper.is_shaky) == ([7], False)  # three failures are a lease's life
    keeper.keep(8, lambda: lost.append(8))
    await asyncio.sleep(100.0)
    assert lost == [7]
    keeping.cancel()
    await asyncio.wait([keeping])


class Noting(MemoryStore):
    """Notes for how long leases are renewed."""

    def __init__(self) -> None:
        super().__init__()
        self.renewed: dict[int, float] = {}

    async def renew(self, leases: Sequence[int], seconds: float) -> set[int]:
        self.renewed.update(dict.fromkeys(leases, seconds))
        return set()

    def twin(self) -> Noting:
        return self


async def test_each_lease_is_renewed_for_as_long_as_it_lives() -> None:
    store = Noting()
    keeper = LeaseKeeper(store, 10.0, clock=asyncio.get_running_loop().time)
    keeping = asyncio.create_task(keeper._keep_all())  # noqa: SLF001 - on this loop, for its clock
    keeper.keep(7, lambda: None)
    keeper.keep(8, lambda: None, seconds=300.0)
    await asyncio.sleep(5.0)
    assert store.renewed == {7: 10.0, 8: 300.0}
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_long_lease_outlives_a_short_one_beside_it() -> None:
    now = asyncio.get_running_loop().time
    keeper = LeaseKeeper(Silent(), 10.0, clock=now)
    keeping = asyncio.create_task(keeper._keep_all())  # noqa: SLF001 - as above
    lost: dict[int, float] = {}
    keeper.keep(7, lambda: lost.update({7: now()}))
    keeper.keep(8, lambda: lost.update({8: now()}), seconds=300.0)
    await asyncio.sleep(400.0)
    assert lost == {7: pytest.approx(10.0, abs=1e-3), 8: pytest.approx(300.0, abs=1e-3)}
    keeping.cancel()
    await asyncio.wait([keeping])
