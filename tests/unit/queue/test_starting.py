from __future__ import annotations

import asyncio

import pytest

from gristmill.errors import StoreMisconfigured, StoreUnavailable
from gristmill.queue.starting import Starting

pytestmark = pytest.mark.looptime


class Opening:
    """Raises each of *errors* in turn, and then succeeds; takes *seconds*."""

    def __init__(self, *errors: Exception, seconds: float = 0.0) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.seconds = seconds
        self.opened = asyncio.Event()

    async def __call__(self) -> None:
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.errors:
            raise self.errors.pop(0)
        self.opened.set()


async def test_what_is_there_is_started_at_once() -> None:
    opening = Opening()
    starting = Starting(opening)
    await starting.begin(1.0)
    assert (opening.opened.is_set(), starting.is_trying, opening.calls) == (True, False, 1)


async def test_what_is_away_is_tried_until_it_is_there() -> None:
    opening = Opening(*(StoreUnavailable("refused") for _ in range(5)))
    starting = Starting(opening, chance=lambda: 1.0)
    await starting.begin(10.0)
    assert (asyncio.get_running_loop().time(), starting.is_trying) == (0.0, True)
    await opening.opened.wait()
    assert opening.calls == 6
    assert asyncio.get_running_loop().time() == pytest.approx(0.1 + 0.2 + 0.4 + 0.8 + 1.6)


async def test_what_hangs_holds_nobody_up() -> None:
    opening = Opening(seconds=100.0)
    starting = Starting(opening)
    await starting.begin(2.0)
    assert (asyncio.get_running_loop().time(), starting.is_trying) == (2.0, True)
    await starting.begin(2.0)
    assert opening.calls == 1
    await opening.opened.wait()


async def test_what_waiting_does_not_mend_is_raised() -> None:
    starting = Starting(Opening(StoreMisconfigured("noeviction")))
    with pytest.raises(StoreMisconfigured):
        await starting.begin(1.0)
    assert not starting.is_trying


async def test_a_stop_ends_the_tries_twice_and_without_a_beginning() -> None:
    opening = Opening(StoreUnavailable("refused"), seconds=1.0)
    starting = Starting(opening)
    await starting.stop()
    await starting.begin(0.5)
    await starting.stop()
    await starting.stop()
    assert (starting.is_trying, opening.opened.is_set()) == (False, False)
