"""``gristmill call`` over connections that are cut: every row once, in its place."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

from tests.faults.client.conftest import ran

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
ROWS = 2000


async def test_rows_are_answered_once_each_by_a_server_that_keeps_answers(
    cut: Any, real_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "in.ndjson").write_text("".join(f'{{"n":{number}}}\n' for number in range(ROWS)))
    before = ran(real_server)
    chance = random.Random(3)
    proxy = await cut(lambda: chance.randrange(400, 4000) if chance.random() < 0.6 else None)
    words = ["call", proxy.url, "anything", "in.ndjson", "-o", "out.ndjson", "--batch-size", "50", "--resume"]
    process = await asyncio.create_subprocess_exec(
        GRISTMILL, *words, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()] == [
        {"n": number} for number in range(ROWS)
    ]
    assert proxy.cuts > 0
    assert ran(real_server) - before == ROWS
