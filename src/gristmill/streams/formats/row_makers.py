"""Rows of cells become dicts or tuples by an expression that is compiled for their columns.

``[{"id": a, "name": b} for a, b, _ in rows]`` is two to three times as fast as ``dict(zip(names, row))``, and
unpacking refuses a row of another length by itself.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

Columns: TypeAlias = tuple[tuple[str, int], ...]
Maker: TypeAlias = Callable[[Iterable[Sequence[str]]], list[Any]]

_COMPILED = 24  # entries; the interpreter builds larger displays in parts, and zip is as fast


@lru_cache(maxsize=64)
def dict_maker(columns: Columns, width: int, empty: str | None = None) -> Maker:
    """Return what makes a list of dicts of rows.

    Args:
        columns: The key of each entry, and which cell it is.
        width: The cells of every row; the maker raises ``ValueError`` at one with more or fewer.
        empty: One more key, with an empty string.
    """
    if len(columns) > _COMPILED and [place for _, place in columns] == list(range(width)):
        return _by_zip(tuple(name for name, _ in columns), empty)
    keys: list[ast.expr | None] = [ast.Constant(name) for name, _ in columns]
    values = [_cell(place) for _, place in columns]
    if empty is not None:
        keys.append(ast.Constant(empty))
        values.append(ast.Constant(""))
    return _compiled(ast.Dict(keys, values), [place for _, place in columns], width)


@lru_cache(maxsize=64)
def tuple_maker(columns: Columns, width: int, empty: str | None = None) -> Maker:
    """Return what makes a list of tuples of rows, one cell for each of *columns*; else as ``dict_maker``."""
    values = [_cell(place) for _, place in columns]
    if empty is not None:
        values.append(ast.Constant(""))
    return _compiled(ast.Tuple(values, ast.Load()), [place for _, place in columns], width)


def _cell(place: int) -> ast.expr:
    return ast.Name(f"cell{place}", ast.Load())


def _compiled(row: ast.expr, used: Sequence[int], width: int) -> Maker:
    places = set(used)
    target = [ast.Name(f"cell{place}" if place in places else "_", ast.Store()) for place in range(width)]
    rows = ast.comprehension(
        ast.Tuple(list(target), ast.Store()), ast.Name("rows", ast.Load()), [], is_async=0
    )
    arguments = ast.arguments([], [ast.arg("rows")], None, [], [], None, [])
    tree = ast.Expression(ast.Lambda(arguments, ast.ListComp(row, [rows])))
    code = compile(ast.fix_missing_locations(tree), "<rows>", "eval")
    maker: Maker = eval(code, {})  # noqa: S307 - the names of columns are constants in it, never code
    return maker


def _by_zip(names: tuple[str, ...], empty: str | None) -> Maker:
    if empty is None:
        return lambda rows: [dict(zip(names, row, strict=True)) for row in rows]
    return lambda rows: [{**dict(zip(names, row, strict=True)), empty: ""} for row in rows]
