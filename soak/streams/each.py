"""All kinds, one after the other, with the databases that some of them need."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from soak.servers import server_of
from soak.streams.kinds import KINDS
from soak.streams.soaking import StreamReport, StreamSoak


def soak_stream(name: str, *, kills: int, seed: int, rows: int, is_kept: bool = False) -> StreamReport:
    """Kill runs into outputs of the kind *name*; what is wrong stays to be looked at."""
    folder = Path(tempfile.mkdtemp(prefix=f"gm-soak-{name}-"))
    server = server_of(name, folder) if KINDS[name].is_database else None
    work = folder / "runs"
    work.mkdir()
    try:
        url = "" if server is None else server.url
        report = StreamSoak(KINDS[name], work, seed=seed, rows=rows, url=url).run(kills)
    finally:
        if server is not None:
            server.close()
    if not report.violations and not is_kept:
        shutil.rmtree(folder, ignore_errors=True)
    return report
