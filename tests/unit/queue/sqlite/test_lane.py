from __future__ import annotations

import apsw
import pytest

from gristmill.errors import StoreError, StoreUnavailable
from gristmill.queue.sqlite.lane import Lane


@pytest.fixture
async def lane(path):
    opened = []

    def open_(path):
        opened.append(apsw.Connection(str(path)))
        return opened[-1]

    lane = Lane("a lane", path, open_)
    lane.opened = opened
    yield lane
    await lane.close()


def fail_with(error):
    def work(_connection):
        raise error

    return work


async def test_each_piece_of_work_gets_the_same_connection(lane):
    assert await lane.submit(lambda connection: connection) is await lane.submit(
        lambda connection: connection
    )


async def test_what_work_raises_is_its_callers(lane):
    with pytest.raises(ZeroDivisionError):
        await lane.submit(fail_with(ZeroDivisionError()))
    with pytest.raises(StoreError):
        await lane.submit(lambda connection: connection.execute("no SQL"))
    assert len(lane.opened) == 1


async def test_after_an_error_of_the_disk_a_new_connection_is_tried(lane):
    with pytest.raises(StoreUnavailable):
        await lane.submit(fail_with(apsw.IOError("gone")))
    assert await lane.submit(lambda connection: connection) is lane.opened[1]
