"""Dicts of the same columns become lines of CSV by an expression that is compiled for these columns.

Most columns of most files hold strings that need no quotes. Their cells are joined as they are, which
``str.join`` refuses for anything but strings; that none of them held a delimiter, a quote or a line end is
told afterwards, by counting those of all lines. Other columns, and those that were found out, are made cells
beforehand. The bytes are those of ``lines_of``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from gristmill.streams.formats.csv_cells import cells_of, joined

LineMaker: TypeAlias = Callable[..., list[str]]


class CsvLines:
    """Writes rows of the columns *names*; learns which of them have to be looked at.

    Args:
        names: Of the columns, in order.
        delimiter: One ASCII character.
    """

    def __init__(self, names: Sequence[str], delimiter: str) -> None:
        self._names = names
        self._delimiter = delimiter
        self._marks = (delimiter.encode(), b'"', b"\n", b"\r")
        self._others = bytes(set(range(256)) - set(b"".join(self._marks)))
        self._apart: Sequence[int] = ()
        self._is_new = True
        self._make: LineMaker | None = None

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Return the lines of *rows*, one at least, each of which has the columns and no others.

        Raises:
            KeyError: One has not.
        """
        return self.at_once(rows) or self._by_column(rows)

    def at_once(self, rows: Sequence[Mapping[str, Any]]) -> bytes | None:
        """Return the lines; None if a column has other cells than plain ones for the first time, or most do.

        So has every column before the first rows.
        """
        if self._make is None:
            return None
        apart = [cells_of(self._column(place, rows), self._delimiter) for place in self._apart]
        try:
            lines = self._make(rows, *[cells for cells, _ in apart])
            body = b"\n".join([*map(str.encode, lines), b""])
        except (TypeError, UnicodeEncodeError):  # a value that is no string, or a lone surrogate
            return None
        found = body.translate(None, self._others)
        quoted = "".join(["".join(cells) for _, cells in apart]).encode()
        own = (len(rows) * (len(self._names) - 1), 0, len(rows), 0)
        for mark, count in zip(self._marks, own, strict=True):
            if found.count(mark) != count + quoted.count(mark):
                return None
        return body

    def _by_column(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        columns = [self._column(place, rows) for place in range(len(self._names))]
        cells = [cells_of(values, self._delimiter)[0] for values in columns]
        if len(self._names) > 1:  # a lone empty cell has to be looked at
            self._learn([place for place, values in enumerate(columns) if cells[place] is not values])
        return joined(cells, self._delimiter).encode("utf-8", "surrogatepass")

    def _column(self, place: int, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        return list(map(itemgetter(self._names[place]), rows))

    def _learn(self, odd: Sequence[int]) -> None:
        apart = sorted({*self._apart, *odd})
        if self._is_new or len(apart) > len(self._apart):
            self._is_new = False
            self._apart = apart
            # To count marks costs as much as to look at the cells of some columns.
            pays = len(self._names) >= 2 * len(apart)
            self._make = _line_maker(self._names, apart, self._delimiter) if pays else None


def _line_maker(names: Sequence[str], apart: Sequence[int], delimiter: str) -> LineMaker:
    """Return what makes lines of rows and of the cells of the columns *apart*, one list for each of these.

    For example ``lambda rows, list1: [join((row["a"], cell1)) for row, cell1 in zip(rows, list1)]``.
    """
    lists = ["rows", *(f"list{place}" for place in apart)]
    each = ["row", *(f"cell{place}" for place in apart)]
    cells: list[ast.expr] = [ast.Subscript(_read("row"), ast.Constant(name), ast.Load()) for name in names]
    for place in apart:
        cells[place] = _read(f"cell{place}")
    line = ast.Call(_read("join"), [ast.Tuple(cells, ast.Load())], [])
    target = ast.Tuple([ast.Name(name, ast.Store()) for name in each], ast.Store())
    zipped = ast.Call(_read("zip"), [_read(name) for name in lists], [])
    rows = ast.comprehension(target, zipped, [], is_async=0)
    arguments = ast.arguments([], [ast.arg(name) for name in lists], None, [], [], None, [])
    tree = ast.Expression(ast.Lambda(arguments, ast.ListComp(line, [rows])))
    code = compile(ast.fix_missing_locations(tree), "<lines>", "eval")
    maker: LineMaker = eval(code, {"join": delimiter.join})  # noqa: S307 - names are constants in it, never code
    return maker


def _read(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())
