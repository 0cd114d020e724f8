"""`python -m soak`: torment real workers on real stores for a while, or kill runs over files (`--streams`).

Exit code 1 on a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from soak.servers import KINDS
from soak.soaking import soak
from soak.streams.each import soak_stream
from soak.streams.kinds import KINDS as OUTPUTS


def main() -> int:
    """Soak what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of torment, for each store")
    parser.add_argument("--store", choices=(*KINDS, "all"), default="sqlite")
    parser.add_argument("--seed", type=int, help="of all bad luck; made up and printed by default")
    parser.add_argument("--workers", type=int, default=3, help="processes")
    parser.add_argument("--keep", action="store_true", help="keep history and logs also if all is well")
    parser.add_argument("--streams", choices=(*OUTPUTS, "all"), help="kill runs into this kind of output")
    parser.add_argument("--kills", type=int, default=200, help="of runs, for each kind of output")
    parser.add_argument("--rows", type=int, default=16_000, help="of a run")
    chosen = parser.parse_args()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    is_well = _streams(chosen, seed) if chosen.streams else _stores(chosen, seed)
    return 0 if is_well else 1


def _streams(chosen: argparse.Namespace, seed: int) -> bool:
    is_well = True
    for name in OUTPUTS if chosen.streams == "all" else (chosen.streams,):
        report = soak_stream(name, kills=chosen.kills, seed=seed, rows=chosen.rows, is_kept=chosen.keep)
        print(report.text(), flush=True)
        is_well = is_well and not report.violations
    return is_well


def _stores(chosen: argparse.Namespace, seed: int) -> bool:
    is_well = True
    for store in KINDS if chosen.store == "all" else (chosen.store,):
        folder = Path(tempfile.mkdtemp(prefix=f"gm-soak-{store}-"))
        report = asyncio.run(soak(store, folder, seconds=chosen.seconds, seed=seed, workers=chosen.workers))
        print(report.text(), flush=True)
        if report.violations or chosen.keep:
            print(f"  history and logs: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        is_well = is_well and not report.violations
    return is_well


if __name__ == "__main__":
    sys.exit(main())
