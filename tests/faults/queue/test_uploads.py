"""Processes that die, or freeze, while they take a large job in."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.silence import silence

from gristmill.errors import UploadInFlight
from gristmill.model.job import JobState
from gristmill.queue.store import ABANDONED

SCRIPT = Path(__file__).with_name("uploader.py")


async def _uploader(mill: Any) -> tuple[Any, str]:
    """Start a process that is in the middle of an upload, and return it with the id of its job."""
    uploader = await mill.run(str(SCRIPT), mill.url)
    await uploader.says("coming")
    (job,) = (await mill.jobs.list()).jobs
    assert job.state is JobState.RECEIVING
    assert job.counts.total in {1, 2}
    return uploader, job.id


async def test_a_kill_in_the_middle_of_an_upload_holds_its_key_for_no_longer_than_a_minute(mill: Any) -> None:
    uploader, upload = await _uploader(mill)
    await uploader.kill()
    with pytest.raises(UploadInFlight):
        await mill.jobs.enqueue("numbers", range(10), unique="k")
    await silence(mill.jobs.store, upload, ABANDONED + 1)
    ref = await mill.jobs.enqueue("numbers", range(10), unique="k")
    assert ref.created
    assert [job.id for job in (await mill.jobs.list()).jobs] == [ref.id]
    await mill.worker()
    assert (await mill.done(ref.id)).counts.succeeded == 10


async def test_a_process_that_froze_in_the_middle_of_an_upload_is_told_so_and_stores_nothing(
    mill: Any,
) -> None:
    uploader, upload = await _uploader(mill)
    await mill.freeze(uploader)
    await silence(mill.jobs.store, upload, ABANDONED + 1)
    ref = await mill.jobs.enqueue("numbers", range(10), unique="k")
    assert ref.created
    uploader.signal(signal.SIGCONT)
    uploader.process.stdin.write(b"go\n")
    assert f"the upload {upload} for over 60 seconds" in await uploader.says("refused")
    assert await uploader.ended() == 0
    assert [job.id for job in (await mill.jobs.list()).jobs] == [ref.id]
    await mill.worker()
    assert (await mill.done(ref.id)).counts.succeeded == 10
