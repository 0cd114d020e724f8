"""One item on its way out."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Sealed(Struct, eq=False):
    """An item as it goes into the body of a request, made in its caller's own frame.

    The collector of cycles does not look at one until it holds an exception.

    Attributes:
        content: What the format of the route makes of it: JSON, or the item itself.
        size: Bytes of it in the body; 0 if that is not known.
        refusal: Why it cannot be sent at all.
        deadline: When its time is up, on the loop's clock; None until its first batch has begun.
        tries: Requests it was in.
        verdict: What the last of them said, if that was a failure.
    """

    content: Any
    size: int = 0
    refusal: Exception | None = None
    deadline: float | None = None
    tries: int = 0
    verdict: Exception | None = None

    def __repr__(self) -> str:
        """Show no data of the caller's: batches are shown in logs."""
        return f"<Sealed {self.size} bytes, {self.tries} tries>"
