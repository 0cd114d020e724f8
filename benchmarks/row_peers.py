"""One Python peer of `stream_rows`, in one process: `python -m benchmarks.row_peers PEER INPUT OUTPUT`.

`skip INPUT ROWS` reads only.
"""

from __future__ import annotations

import csv
import sys
from itertools import islice
from pathlib import Path


def with_dicts(source: Path, target: Path) -> None:
    """As most would write it."""
    with (
        source.open(encoding="utf-8", newline="") as read,
        target.open("w", encoding="utf-8", newline="") as write,
    ):
        rows = csv.DictReader(read)
        assert rows.fieldnames is not None
        writer = csv.DictWriter(write, [*rows.fieldnames, "gross"])
        writer.writeheader()
        for row in rows:
            row["gross"] = round(float(row["amount"]) * 1.19, 2)
            writer.writerow(row)


def with_lists(source: Path, target: Path) -> None:
    """The floor: no dicts, the place of the column looked up once, the lines written in C."""
    with (
        source.open(encoding="utf-8", newline="") as read,
        target.open("w", encoding="utf-8", newline="") as write,
    ):
        rows = csv.reader(read)
        header = next(rows)
        at = header.index("amount")
        writer = csv.writer(write)
        writer.writerow([*header, "gross"])
        writer.writerows([*row, round(float(row[at]) * 1.19, 2)] for row in rows)


def skip(source: Path, rows: int) -> None:
    """Read as many rows and drop them: what it costs to find the place again by counting."""
    with source.open(encoding="utf-8", newline="") as read:
        assert sum(1 for _ in islice(csv.reader(read), rows)) == rows


PEERS = {"csv.DictReader": with_dicts, "csv.reader": with_lists}

if __name__ == "__main__":
    if sys.argv[1] == "skip":
        skip(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        PEERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
