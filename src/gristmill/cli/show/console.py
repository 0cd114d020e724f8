"""Where commands print: colours on a terminal only, and never a line that cuts an id in two."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

_NARROWEST = 80


def console(*, err: bool = False) -> Console:
    """Return a console on what ``sys.stdout`` (or stderr) is now, at least 80 columns wide."""
    made = Console(stderr=err, highlight=False, markup=False, emoji=False)
    made.width = max(_NARROWEST, made.width)
    return made


def table() -> Table:
    """Return a table of columns with nothing but space between them."""
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def plain(text: str) -> str:
    r"""Return *text* on one line, without what would steer a terminal.

    >>> plain("red \x1b[31m alert\n")
    'red ?[31m alert '
    """
    return "".join(each if each.isprintable() else " " if each.isspace() else "?" for each in text)


def cut(text: str) -> Text:
    """Return a cell that is cut first where a table is too wide; its column must not be ``no_wrap``."""
    return Text(plain(text), no_wrap=True, overflow="ellipsis")
