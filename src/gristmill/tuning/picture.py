"""The curves as a PNG or SVG file, drawn by matplotlib: an extra, imported here alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.errors import ConfigurationError
from gristmill.tuning import words
from gristmill.tuning.advice import Advice, Bound
from gristmill.tuning.curves import curve_sizes, log_ticks
from gristmill.tuning.measuring import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
_INK, _GRID, _LINE, _POINT, _MARK = "#222222", "#dddddd", "#4c9be8", "#1f4e8c", "#c2410c"
_WIDTH, _HEIGHT, _DPI = 11.0, 5.2, 144


def check_picture(path: Path) -> None:
    """Refuse, before anything is measured, what could not be drawn after it.

    Raises:
        ConfigurationError: The name ends with neither .png nor .svg, its folder is not there, or
            matplotlib is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"pictures are {' or '.join(SUFFIXES)} files, and {path} is neither")
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent} to write {path.name} into")
    _matplotlib()


def draw_picture(
    path: Path, handler: str, measurement: Measurement, advice: Advice, target_latency: float | None = None
) -> None:
    """Write throughput and latency against batch size to *path*; its suffix says as what.

    Args:
        path: Ends with .png or .svg.
        handler: For the title.
        measurement: The points, with bars from the 10th to the 90th percentile.
        advice: The line and the recommended size.
        target_latency: Seconds, for a line of its own.

    Raises:
        ConfigurationError: As ``check_picture``, or the file cannot be written.
    """
    matplotlib = _matplotlib()
    look = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "gristmill",  # the same picture, the same bytes
        "text.parse_math": False,  # a name may hold dollars
        "font.size": 10,
        "text.color": _INK,
        "axes.edgecolor": "#999999",
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with matplotlib.rc_context(look):
        figure = matplotlib.figure.Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        left, right = figure.subplots(1, 2)
        _throughput(left, measurement, advice)
        _latency(right, measurement, advice, target_latency)
        for axes in (left, right):
            _dress(axes, measurement, advice)
        figure.suptitle(f"{handler}: {_headline(advice)}", x=0.01, ha="left", fontsize=13, fontweight="bold")
        fixed, item = words.duration(advice.cost.fixed_cost), words.duration(advice.cost.item_cost)
        figure.supxlabel(
            f"A batch costs {fixed} and each item {item} more. {advice.why[0].upper()}{advice.why[1:]}.",
            x=0.01,
            ha="left",
            fontsize=10,
            wrap=True,
        )
        try:
            figure.savefig(path, dpi=_DPI, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error


def _matplotlib() -> Any:
    try:
        import matplotlib.figure  # noqa: PLC0415 - an optional extra, here in its own adapter
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "pictures need matplotlib: pip install 'gristmill[plot]'; without -o the curves are drawn here"
        ) from error
    return matplotlib


def _headline(advice: Advice) -> str:
    return (
        "batching does not pay" if advice.bound is Bound.NO_GAIN else f"batches of {words.items(advice.size)}"
    )


def _throughput(axes: Axes, measurement: Measurement, advice: Advice) -> None:
    found = measurement.sizes
    sizes = [each.size for each in found]
    rates = [each.throughput for each in found]
    bars = [
        [max(0.0, each.throughput - each.size / each.high) for each in found],
        [max(0.0, each.size / each.low - each.throughput) for each in found],
    ]
    _points(axes, sizes, rates, bars)
    along = curve_sizes(found[0].size, found[-1].size, 200)
    axes.plot(along, [n / advice.cost.expected(n) for n in along], color=_LINE, label=_line_label(advice))
    axes.set_ylim(bottom=0, top=1.12 * max(rates))
    axes.set_title("Throughput, items a second", loc="left")
    axes.yaxis.set_major_formatter(lambda value, _place: words.short(value))


def _latency(axes: Axes, measurement: Measurement, advice: Advice, target: float | None) -> None:
    found = measurement.sizes
    sizes = [each.size for each in found]
    bars = [[each.median - each.low for each in found], [each.high - each.median for each in found]]
    _points(axes, sizes, [each.median for each in found], bars)
    along = curve_sizes(found[0].size, found[-1].size, 200)
    axes.plot(along, [advice.cost.expected(n) for n in along], color=_LINE, label=_line_label(advice))
    if advice.cost.fixed_cost > 0:
        axes.axhline(advice.cost.fixed_cost, color=_LINE, linewidth=0.8, linestyle=":", label="fixed cost")
    if target is not None:
        axes.axhline(target, color=_MARK, linewidth=0.8, linestyle="-.", label="target latency")
    axes.set_yscale("log")
    axes.set_title("Latency, time of a batch", loc="left")
    ticks = log_ticks(*axes.get_ylim(), least=4)
    axes.set_yticks(ticks, [words.tick(each) for each in ticks])


def _points(axes: Axes, sizes: list[int], heights: list[float], bars: list[list[float]]) -> None:
    axes.errorbar(
        sizes, heights, yerr=bars, fmt="o", color=_POINT, markersize=5, capsize=3, zorder=3,
        label="measured, median and 10-90 %",
    )  # fmt: skip


def _line_label(advice: Advice) -> str:
    return f"fit: {words.duration(advice.cost.fixed_cost)} + {words.duration(advice.cost.item_cost)} an item"


def _dress(axes: Axes, measurement: Measurement, advice: Advice) -> None:
    sizes = [each.size for each in measurement.sizes]
    axes.set_xscale("log")
    axes.set_xlabel("items in a batch")
    axes.set_xticks(sizes, [words.short(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    axes.axvline(
        advice.size,
        color=_MARK,
        linestyle="--",
        linewidth=1.2,
        label=f"recommended: {words.count(advice.size)}",
    )
    if advice.cliff is not None:
        axes.axvspan(
            (advice.cliff.last_good * advice.cliff.first_bad) ** 0.5, sizes[-1] * 1.25,
            color=_MARK, alpha=0.08, label="beyond the cliff",
        )  # fmt: skip
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="best", frameon=False, fontsize=9)
