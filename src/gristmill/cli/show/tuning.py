"""What ``gristmill tune`` says: a table of sizes, two curves, the costs and the size to take."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gristmill.batching.handler import BatchHandler
from gristmill.cli.show.canvas import UNICODE, signs_for
from gristmill.cli.show.console import plain, table
from gristmill.cli.show.plot import MARK, Curve, plot
from gristmill.tuning import words
from gristmill.tuning.advice import Advice, Bound
from gristmill.tuning.measuring import Measurement, SizeRuns

_HEIGHT = 9  # rows of one plot
_GAP = 2  # columns between two plots
_WIDEST = 66  # columns of one plot
_LITTLE = 1.05  # times the throughput of now that are worth no word


def show_tuning(
    console: Console, handler: BatchHandler[Any, Any], measurement: Measurement, advice: Advice
) -> None:
    """Print *measurement* and *advice*."""
    runs = sum(len(each.seconds) for each in measurement.sizes)
    took = f"{runs} batches of {len(measurement.sizes)} sizes in {measurement.elapsed:.1f} s"
    console.print(Text.assemble((plain(handler.name), "bold"), f": {took}, one after another"))
    console.print()
    console.print(sizes_table(measurement, advice, is_unicode=signs_for(console.encoding) is UNICODE))
    console.print()
    console.print(curves(console, measurement, advice))
    console.print()
    for line in verdict(handler, advice):
        console.print(line)


def sizes_table(measurement: Measurement, advice: Advice, *, is_unicode: bool = True) -> Table:
    """Return a table of what was measured, the recommended size among it."""
    shown = table()
    micro, arrow = ("µ", "◀") if is_unicode else ("U", "<")
    for name in ("SIZE", "ITEMS/S", "MS/BATCH", "10-90 %", f"{micro}S/ITEM", "FIXED"):
        shown.add_column(name, justify="right", no_wrap=True)
    if measurement.failed:
        shown.add_column("FAILED", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    is_measured = any(each.size == advice.size for each in measurement.sizes)
    rows = [(each.size, each) for each in measurement.sizes]
    fitted = None if is_measured else SizeRuns(advice.size, (advice.cost.expected(advice.size),))
    if fitted is not None:
        rows = sorted([*rows, (fitted.size, fitted)], key=lambda row: row[0])
    for size, each in rows:
        is_fitted = each is fitted
        cells = [
            words.count(size),
            words.short(each.throughput),
            _ms(each.median),
            "fitted" if is_fitted else f"{_ms(each.low)}-{_ms(each.high)}",
            words.digits(each.median / size * 1e6),
            words.share(advice.cost.fixed_share(size)),
        ]
        if measurement.failed:
            cells.append("" if is_fitted else words.share(each.failed / (size * len(each.seconds))))
        is_taken = size == advice.size
        shown.add_row(
            *cells, f"{arrow} recommended" if is_taken else "", style=f"bold {MARK}" if is_taken else ""
        )
    return shown


def curves(console: Console, measurement: Measurement, advice: Advice) -> Group:
    """Return throughput and latency: side by side, as the console has at least 80 columns."""
    cost = advice.cost
    throughput = Curve(
        title="Throughput, items a second",
        points=[
            (each.size, each.size / each.high, each.throughput, each.size / each.low)
            for each in measurement.sizes
        ],
        line=lambda size: size / cost.expected(size),
        mark=advice.size,
    )
    latency = Curve(
        title="Latency, time of a batch",
        points=[(each.size, each.low, each.median, each.high) for each in measurement.sizes],
        line=cost.expected,
        mark=advice.size,
        log=True,
        label=words.tick,
    )
    signs = signs_for(console.encoding)
    width = min((console.width - _GAP) // 2, _WIDEST)
    pair = [plot(each, width=width, height=_HEIGHT, signs=signs) for each in (throughput, latency)]
    lines = [Text.assemble(left, " " * _GAP, right) for left, right in zip(*pair, strict=True)]
    for line in lines:
        line.rstrip()
    return Group(*lines)


def verdict(handler: BatchHandler[Any, Any], advice: Advice) -> list[Text]:
    """Return the costs, the size to take and why, and what to know before."""
    cost = advice.cost
    lines = [
        Text.assemble(
            "A batch costs ",
            (words.duration(cost.fixed_cost), "bold"),
            " and each item ",
            (words.duration(cost.item_cost), "bold"),
            f" more (noise {words.share(advice.noise)}).",
        ),
        Text.assemble("Recommended: ", (f"max_size={advice.size}", f"bold {MARK}")),
        Text(f"{advice.why[0].upper()}{advice.why[1:]}."),
    ]
    now = handler.limits.max_size
    if not isinstance(now, int):
        lines.append(Text("Its max_size is Adaptive, which finds such a size by itself and follows it."))
    elif advice.bound is not Bound.NO_GAIN and now != advice.size:
        gain = (advice.size / cost.expected(advice.size)) / (now / cost.expected(now))
        if gain > _LITTLE and (advice.cliff is None or now <= advice.cliff.last_good):
            lines.append(
                Text(f"That is {gain:.1f} times the items a second of max_size={now}, as it is now.")
            )
    lines += [Text(note, "yellow") for note in advice.notes]
    return lines


def _ms(seconds: float) -> str:
    return words.digits(seconds * 1e3)
