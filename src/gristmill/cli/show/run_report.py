"""What became of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from gristmill.cli.show.console import plain
from gristmill.cli.show.units import bytes_text, count_text, seconds_text
from gristmill.streams.dead_letter import DeadLetter, StoredLetter
from gristmill.streams.report import Report

_CODES = 5
_SAMPLES = 3
_LOOKED_AT = 20_000
"""Dead letters that are read for samples."""


def show_report(console: Console, report: Report, *, seconds: float, output: str, dead: Path | None) -> None:
    """Print what became of a run: rows, speed, what it waited for, the most frequent errors."""
    counts = report.counts
    filtered = f", {counts.filtered:,} filtered out" if counts.filtered else ""
    console.print(
        f"{counts.read:,} rows read: {counts.succeeded:,} written to {output}, "
        f"{counts.failed:,} failed{filtered}"
    )
    if report.rows:
        own = report.committed - report.start
        console.print(
            f"{seconds_text(seconds)}, {count_text(report.rows / max(seconds, 1e-9))} rows/s, "
            f"{bytes_text(own / max(seconds, 1e-9))}/s; {_waits(report.stalls.seconds, seconds)}",
            style="dim",
        )
    if report.deaths:
        console.print(f"{report.deaths} workers died and were replaced", style="yellow")
    if counts.failed:
        _show_failures(console, report, dead)


def _waits(stalls: Mapping[str, float], seconds: float) -> str:
    parts = [
        f"{share:.0%} {name}"
        for name, waited in sorted(stalls.items(), key=lambda each: -each[1])
        if (share := waited / max(seconds, 1e-9)) >= 0.01  # noqa: PLR2004 - less is noise
    ]
    return "waited for: " + (", ".join(parts) or "nothing")


def _show_failures(console: Console, report: Report, dead: Path | None) -> None:
    ranked = sorted(report.codes.items(), key=lambda each: -each[1])
    found = {} if dead is None else samples(dead, [code for code, _ in ranked[:_CODES]])
    for code, number in ranked[:_CODES]:
        console.print(f"  {number:>9,}  {code}", style="red")
        for letter in found.get(code, []):
            where = f"{letter.source} row {letter.row:,}, byte {letter.start:,}"
            console.print(f"             {where}: {plain(letter.message)[:200]}", style="dim", soft_wrap=True)
    if len(ranked) > _CODES:
        console.print(
            f"  {sum(number for _, number in ranked[_CODES:]):>9,}  of {len(ranked) - _CODES} other codes"
        )
    if dead is not None and dead.exists():
        console.print(
            f"failed rows are in {dead}; run it as an input once the reason is gone", soft_wrap=True
        )


def samples(path: Path, codes: Sequence[str]) -> dict[str, list[DeadLetter]]:
    """Return the first dead letters of each of *codes* in the file *path*."""
    found: dict[str, list[DeadLetter]] = {code: [] for code in codes}
    decoder = msgspec.json.Decoder(StoredLetter)  # items of any kind
    try:
        with path.open("rb") as file:
            for line, _ in zip(file, range(_LOOKED_AT), strict=False):
                letter = decoder.decode(line)
                kept = found.get(letter.code)
                if kept is not None and len(kept) < _SAMPLES:
                    kept.append(letter)
    except (OSError, ValueError, RecursionError):
        pass  # samples are a courtesy
    return found
