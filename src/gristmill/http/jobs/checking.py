"""The items of one body, checked one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType, structs

from gristmill.http.batch_request import too_many_items
from gristmill.http.bench import Bench
from gristmill.http.problems import Refused, problem
from gristmill.http.strict_json import check_text
from gristmill.model.outcome import failed_from
from gristmill.model.settling import Failure
from gristmill.queue.intake import Ready
from gristmill.wire import Problem

Entries: TypeAlias = list[Ready | Failure]

_SHOWN = 3  # complaints in a message


class Checker:
    """Checks the items of one body.

    Args:
        bench: Of the handler.
        strict: Whether the first bad item refuses the whole body.
    """

    def __init__(self, bench: Bench, *, strict: bool) -> None:
        self._bench = bench
        self._strict = strict
        self.limits = bench.limits
        self.total = 0

    def entry(self, text: bytes, at: str, line: int | None = None) -> Ready | Failure:
        """Return the item that *text* is, or what is wrong with it.

        Args:
            text: The JSON.
            at: The pointer of the item in the body.
            line: Where it stands in the body, if that has lines.

        Raises:
            Refused: It is a bad one and that is strict, or one too many.
        """
        self.count()
        try:
            return Ready(self._item(text, at), text)
        except Refused as refused:
            return self.failure(refused.problem, line)

    def bad(self, found: Problem, line: int) -> Failure:
        """Count an item that is none, by what was *found*; raises as ``entry``."""
        self.count()
        return self.failure(found, line)

    def too_large(self, line: int) -> Failure:
        """Count an item of more bytes than one may have; raises as ``entry``."""
        return self.bad(problem("too_large", limit_bytes=self.limits.item_bytes), line)

    def count(self) -> None:
        """Count an item; raises ``Refused`` (``too_many_items``) at one too many."""
        self.total += 1
        if self.total > self.limits.job_items:
            raise too_many_items(replace(self.limits, batch_items=self.limits.job_items))

    def failure(self, found: Problem, line: int | None) -> Failure:
        """Return what is kept of an item that is none; raises ``Refused`` if that is strict."""
        if self._strict:
            # The offset is one in the line, and would be read as one in the body.
            at_line = {} if line is None else {"detail": message_of(found, line), "offset": UNSET}
            raise Refused(structs.replace(found, **at_line))
        return Failure(found.code, message_of(found, line), 0)

    def _item(self, text: bytes, at: str) -> Any:
        if len(text) > self.limits.item_bytes:
            raise Refused(problem("too_large", limit_bytes=self.limits.item_bytes))
        check_text(text, self.limits)
        item = self._bench.items.decode(text, at)
        error = self._bench.handler.sort_error(item)
        if error is not None:
            raise Refused(self._bench.verdicts.problem_of(failed_from(error)))
        if self._bench.is_too_heavy(item):
            raise Refused(problem("item_too_heavy"))
        return item


def message_of(found: Problem, line: int | None) -> str:
    """Return what is wrong with an item in one line."""
    text = found.title if isinstance(found.detail, UnsetType) else found.detail
    if not isinstance(found.errors, UnsetType):
        text = "; ".join(f"{each.detail} at {each.pointer}" for each in found.errors[:_SHOWN])
    return text if line is None else f"line {line}: {text}"
