"""One item on its way out."""

from __future__ import annotations

from typing import Any


class Sealed:
    """An item as it goes into the body of a request, made in its caller's own frame.

    Attributes:
        content: What the format of the route makes of it: JSON, or the item itself.
        size: Bytes of it in the body; 0 if that is not known.
        refusal: Why it cannot be sent at all.
        deadline: When its time is up, on the loop's clock; None until its first batch has begun.
        tries: Requests it was in.
        verdict: What the last of them said, if that was a failure.
    """

    __slots__ = ("content", "deadline", "refusal", "size", "tries", "verdict")

    def __init__(self, content: Any, size: int = 0, refusal: Exception | None = None) -> None:
        self.content = content
        self.size = size
        self.refusal = refusal
        self.deadline: float | None = None
        self.tries = 0
        self.verdict: Exception | None = None
