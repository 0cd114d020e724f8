"""The process that workers of ``gristmill run`` are forked from, started to load while this one does."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

_NEEDED = ["gristmill.streams.engines.local_main", "gristmill.streams.worker.rows"]
_COLUMNS = "gristmill.streams.worker.column_start"
_NO_RUN = frozenset(("-h", "--help", "--dry-run"))
_ARROW_FILES = (".parquet", ".arrow", ".feather", ".ipc")
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_SEARCHED = 1 << 20  # bytes of a module


def start_fork_server(arguments: Sequence[str]) -> None:
    """Start it if ``gristmill`` was called with *arguments* that begin a run.

    Where columns are likely it loads Arrow, once for all workers. To be wrong about that costs time, no more.
    """
    if list(arguments[:1]) != ["run"] or _NO_RUN & set(arguments):
        return
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return
    preload = [*_NEEDED, _COLUMNS] if wants_arrow(arguments) else _NEEDED
    multiprocessing.set_forkserver_preload(preload)
    # A library of numpy's starts a thread for each CPU when it is loaded; workers are the parallel ones.
    is_set = _BLAS_THREADS in os.environ
    os.environ.setdefault(_BLAS_THREADS, "1")
    try:
        forkserver.ensure_running()
    finally:
        if not is_set:
            del os.environ[_BLAS_THREADS]


def wants_arrow(arguments: Sequence[str]) -> bool:
    """Tell whether a run with *arguments* is likely to be one of columns.

    It is where a file is of Arrow, or where the handler's module names that.
    """
    if any(word.lower().endswith(_ARROW_FILES) for word in arguments):
        return True
    module = next((word.rpartition(":")[0] for word in arguments if ":" in word), "")
    return any(b"pyarrow" in text for text in map(_text_of, _files_of(module)) if text)


def _files_of(module: str) -> list[Path]:
    """Return where the source of *module*, a path or a dotted name, may be."""
    if not module or module.endswith(".py"):
        return [Path(module)] if module else []
    place = Path(*module.split("."))
    tails = (place.with_suffix(".py"), place / "__init__.py")
    return [Path(folder or ".") / tail for folder in ("", *sys.path) for tail in tails]


def _text_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_SEARCHED)
    except OSError:
        return b""  # whoever loads the handler says so
