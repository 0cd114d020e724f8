"""Outcomes of items: one line each, as long as the screen is wide."""

from __future__ import annotations

from rich.text import Text

from gristmill.cli.show.console import plain
from gristmill.model.lease import ResultKind
from gristmill.queue.reading import ItemResult

_STYLES = {ResultKind.SUCCEEDED: "green", ResultKind.FAILED: "red", ResultKind.CANCELLED: "yellow"}
_KIND = max(map(len, ResultKind))


def result_line(item: ItemResult, total: int, width: int) -> Text:
    """Return one outcome as a line.

    Args:
        item: The outcome.
        total: Items of the job, which says how wide its places are.
        width: Of the line; what is longer is cut.
    """
    place = str(item.place).rjust(len(str(max(0, total - 1))))
    line = Text.assemble(place, "  ", (item.kind.ljust(_KIND), _STYLES[item.kind]), "  ", _body(item))
    line.truncate(width, overflow="ellipsis")
    line.rstrip()
    return line


def _body(item: ItemResult) -> str:
    if item.failure is not None:
        return plain(f"{item.failure.code}: {item.failure.message}")
    return "" if item.value is None else plain(bytes(item.value).decode(errors="replace"))
