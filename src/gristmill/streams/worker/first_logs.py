"""What workers log of batches that failed: each error in full once, as its rows are told of elsewhere."""

from __future__ import annotations

import logging
from types import TracebackType


class FirstOfEach(logging.Filter):
    """Lets the first record of each error pass: of its type, and the line that raised it."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[type[BaseException] | None, str, int]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the error of *record* is new."""
        if not record.exc_info:
            return True
        kind, _, trace = record.exc_info
        found = (kind, *_place(trace))
        is_new = found not in self._seen
        self._seen.add(found)
        return is_new


def _place(trace: TracebackType | None) -> tuple[str, int]:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return ("", 0) if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
