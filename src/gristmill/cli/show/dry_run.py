"""What a run would do."""

from __future__ import annotations

from rich.console import Console

from gristmill.batching.executors.function_ref import refer
from gristmill.cli.show.units import bytes_text
from gristmill.streams.pipeline import Pipeline

_SHOWN = 20


def show_plan(console: Console, pipeline: Pipeline) -> None:
    """Print the inputs, the handler and the output of *pipeline*; read only what tells of the inputs.

    Raises:
        GristmillError: As the run would, of an input, a column or a handler that cannot be.
    """
    refer(pipeline.handler)
    try:
        marks = pipeline.source.open()
        pipeline.source.recipe()
        for mark in marks[:_SHOWN]:
            console.print(
                f"reads   {mark.name}" + ("" if mark.size is None else f", {bytes_text(mark.size)}")
            )
        if len(marks) > _SHOWN:
            console.print(f"        and {len(marks) - _SHOWN} more")
        if pipeline.source.columns is not None:
            console.print(f"columns {', '.join(pipeline.source.columns)}")
    finally:
        pipeline.source.close()
    handler = pipeline.handler
    console.print(f"runs    {handler.name}: {_shown(handler.item_type)} -> {_shown(handler.result_type)}")
    console.print(f"writes  {pipeline.sink.name}; rows that fail to {pipeline.dead_letter_path or 'nowhere'}")


def _shown(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
