"""``gristmill tune``: run a handler at several batch sizes, draw what that takes, name the best."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from gristmill.batching.exits import exit_of
from gristmill.batching.handler import BatchHandler
from gristmill.cli.exits import INTERRUPTED, code_of, fail, loaded_handler
from gristmill.cli.loops import run
from gristmill.cli.show.console import console
from gristmill.cli.show.documents import print_document
from gristmill.cli.show.tuning import show_tuning
from gristmill.errors import ConfigurationError, GristmillError, HandlerFailed
from gristmill.model.sizing import Adaptive
from gristmill.tuning.advice import Advice, advise
from gristmill.tuning.document import document
from gristmill.tuning.ladder import FEWEST, chosen, ladder
from gristmill.tuning.measuring import Measurement, measure
from gristmill.tuning.passes import Passes, Turn
from gristmill.tuning.picture import check_picture, draw_picture
from gristmill.tuning.sample import Sample, SampleFormat, read_sample
from gristmill.tuning.words import count


def tune(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:HANDLER",
            help="A batch handler: module:handler, path/file.py:handler, or module:app.name of an App.",
        ),
    ],
    sample: Annotated[
        Path,
        typer.Argument(
            metavar="SAMPLE",
            help="Its items: a file as gristmill run takes them, compressed or not, or a JSON array.",
        ),
    ],
    *,
    sizes: Annotated[
        str | None,
        typer.Option(help="Batch sizes to try, as 1,10,100; else 1, 2, 5, 10 ... up to the sample's rows."),
    ] = None,
    max_size: Annotated[
        int | None, typer.Option(help="The largest size to try, instead of the sample's rows.", min=FEWEST)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time to measure in, about.")] = 10.0,
    repeats: Annotated[int, typer.Option(help="Runs of each size at most.", min=1)] = 30,
    efficiency: Annotated[
        float, typer.Option(help="Share of a batch's time to spend on items and not on its fixed cost.")
    ] = 0.9,
    target_latency: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="What a batch may take; no limit by default.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw the curves into a .png or .svg file, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    input_format: Annotated[
        SampleFormat | None, typer.Option(help="How the sample is written; by default as its name ends.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Rows of the sample to read at most.", min=1)] = 10_000,
) -> None:
    """Find the batch size of a handler by experiment.

    Runs it FOR REAL on items of the sample, again and again, one batch after
    another: what it writes, it writes. Then fits what a batch costs, draws it,
    and recommends the size at which the fixed cost no longer matters.
    """
    try:
        rule = Adaptive(efficiency=efficiency, target_latency=target_latency)
        if output is not None:
            check_picture(output)
        handler = loaded_handler(target)
        rows = read_sample(
            sample, handler.item_type, limit=limit, wanted=input_format, is_columnar=handler.is_columnar
        )
        passes = Passes(
            _sizes(sizes, max_size, len(rows)),
            seconds=seconds,
            repeats=repeats,
            chance=random.Random(),  # noqa: S311 - the order of sizes is no secret
        )
        found = _measured(handler, rows, passes)
        advice = advise(found, rule, rows=len(rows))
        if output is not None:
            draw_picture(output, handler.name, found, advice, target_latency=target_latency)
        _show(handler, found, advice, as_json=as_json)
        if output is not None and not as_json:
            typer.echo(f"The curves are in {output}.")
    except GristmillError as error:
        fail(str(error), code_of(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _show(handler: BatchHandler[Any, Any], found: Measurement, advice: Advice, *, as_json: bool) -> None:
    if as_json:
        print_document(document(handler.name, found, advice))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where there is no micro sign
    show_tuning(console(), handler, found, advice)


def _measured(handler: BatchHandler[Any, Any], rows: Sample, passes: Passes) -> Measurement:
    screen = Console(stderr=True)
    if not screen.is_terminal:
        return _run(measure(handler, rows, passes))
    with Status(f"Running {handler.name} for up to {passes.seconds:g} s", console=screen) as status:

        def watch(turn: Turn, elapsed: float) -> None:
            what = "measuring" if turn.counts else "warming up"
            status.update(f"{what} batches of {count(turn.size)}: {elapsed:.0f} of {passes.seconds:g} s")

        return _run(measure(handler, rows, passes, watch=watch))


def _run(work: Coroutine[Any, Any, Measurement]) -> Measurement:
    """Run *work* to its end; an exit of the handler, which would end the command too, is its failure."""
    try:
        return run(work)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise HandlerFailed(f"a batch failed: {exit_of(error)}") from error


def _sizes(text: str | None, max_size: int | None, rows: int) -> tuple[int, ...]:
    """Return the sizes to try."""
    if text is None:
        largest = max_size or rows
        if largest < FEWEST:
            raise ConfigurationError("the sample has one row; give it more, or --max-size to repeat it")
        return ladder(largest)
    if max_size is not None:
        raise ConfigurationError("give --sizes or --max-size, not both")
    try:
        return chosen(int(each) for each in text.replace("_", "").split(","))
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"--sizes are whole numbers as in 1,10,100, got {text!r}") from error
