"""What ``gristmill tune`` says, in 80 columns and without a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gristmill import Adaptive, batch
from gristmill.cli.show.console import console
from gristmill.cli.show.tuning import show_tuning, verdict
from gristmill.testing.handler_simulator import Cost, affine, cliff
from gristmill.tuning.advice import advise
from gristmill.tuning.ladder import ladder
from gristmill.tuning.measuring import Measurement, SizeRuns

LINE = affine(fixed=0.005, item=0.00002)


def handler(max_size: int | Adaptive = 100):  # type: ignore[no-untyped-def]
    @batch(name="users", max_size=max_size)
    async def users(items: list[int]) -> list[int]:
        return items

    return users


def measured(cost: Cost = LINE, largest: int = 100_000, failed: int = 0) -> Measurement:
    runs = [
        SizeRuns(size, tuple(cost(size, index) for index in range(3)), failed) for size in ladder(largest)
    ]
    return Measurement(tuple(runs), elapsed=9.8, codes=(("taken", failed * len(runs)),) if failed else ())


def shown(measurement: Measurement, *, terminal: bool = False, encoding: str = "utf-8") -> str:
    bytes_ = io.BytesIO()
    with io.TextIOWrapper(bytes_, encoding=encoding, errors="replace", write_through=True) as file:
        screen = Console(file=file, width=80, force_terminal=terminal, highlight=False, markup=False)
        show_tuning(screen, handler(), measurement, advise(measurement, Adaptive()))
        return bytes_.getvalue().decode(encoding)


def test_all_of_it_fits_into_eighty_columns() -> None:
    for cost in (LINE, affine(fixed=3.0, item=0.123456), affine(fixed=1e-6, item=1e-8)):
        lines = shown(measured(cost, failed=1)).splitlines()
        assert max(map(len, lines)) <= 80
        assert len(lines) < 46


def test_a_row_says_what_was_measured() -> None:
    line = next(line for line in shown(measured()).splitlines() if line.startswith(" " * 2 + "1,000"))
    assert line.split() == ["1,000", "40k", "25.0", "25.0-25.0", "25.0", "20", "%"]


def test_the_recommended_size_has_a_row_though_nobody_ran_it() -> None:
    rows = [line for line in shown(measured()).splitlines() if "recommended" in line]
    assert len(rows) == 1
    assert rows[0].split() == ["2,300", "45.1k", "51.0", "fitted", "22.2", "9.8", "%", "◀", "recommended"]


def test_a_recommended_size_that_was_run_has_one_row_with_its_spread() -> None:
    steep = shown(measured(cliff(LINE, at=500, factor=3.0)))
    rows = [line.split()[0] for line in steep.splitlines() if "%" in line and line.lstrip()[0].isdigit()]
    assert rows.count("500") == 1
    assert "fitted" not in steep
    assert "Cliff: batches of 1,000 items take 3.0 times as long" in steep


def test_failed_items_have_a_column_only_if_there_are_some() -> None:
    assert "FAILED" not in shown(measured())
    assert "FAILED" in shown(measured(failed=1))
    assert "100 %" in next(
        line for line in shown(measured(failed=3)).splitlines() if line.lstrip().startswith("1 ")
    )


def test_there_are_colours_on_a_terminal_only() -> None:
    assert "\x1b[" in shown(measured(), terminal=True)
    assert "\x1b[" not in shown(measured())


def test_output_that_holds_ascii_only_gets_no_other_signs() -> None:
    text = shown(measured(), encoding="ascii")
    assert "< recommended" in text
    assert "US/ITEM" in text
    assert text.count("?") <= 2  # a micro sign in the costs


def test_the_verdict_names_the_costs_the_size_and_the_gain() -> None:
    said = [line.plain for line in verdict(handler(), advise(measured(), Adaptive()))]
    assert said == [
        "A batch costs 5.00 ms and each item 20.0 µs more (noise 0 %).",
        "Recommended: max_size=2300",
        "At 2,300 items the fixed 5.00 ms is 9.8 % of a batch.",
        "That is 3.2 times the items a second of max_size=100, as it is now.",
    ]


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (2300, "of a batch."),
        (2200, "of a batch."),
        (Adaptive(), "finds such a size by itself and follows it."),
    ],
)
def test_what_max_size_is_now_is_told_only_where_it_matters(now: int | Adaptive, end: str) -> None:
    assert verdict(handler(now), advise(measured(), Adaptive()))[-1].plain.endswith(end)


def test_a_handler_that_gains_nothing_is_told_so() -> None:
    advice = advise(measured(affine(fixed=1e-5, item=1e-3)), Adaptive())
    said = " ".join(line.plain for line in verdict(handler(), advice))
    assert "Recommended: max_size=1 Batching does not pay" in said
    assert "times the items a second" not in said


def test_the_console_of_commands_is_never_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert console().width == 80
