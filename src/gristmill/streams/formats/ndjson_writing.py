"""Results as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRecipe:
    """Makes ``LineEncoder``."""

    @property
    def needs_layout(self) -> bool:
        """Never: each line names its own fields."""
        return False

    def rows(self, result_type: Any) -> LineEncoder:  # noqa: ARG002 - every type has its lines
        """Return an encoder."""
        return LineEncoder()


class LineEncoder:
    """Writes one line of JSON for each result; NaN and infinities, which JSON has not, as null."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder(enc_hook=encode_hook)

    @property
    def is_joinable(self) -> bool:
        """Lines are."""
        return True

    def layout(self, results: Sequence[Any]) -> bytes | None:  # noqa: ARG002 - as ``needs_layout`` says
        """Return None: lines have no columns in common."""
        return None

    def encode(self, results: Sequence[Any], layout: bytes | None) -> tuple[bytes, Mapping[int, str]]:  # noqa: ARG002
        """Return the lines, and what cannot be JSON."""
        try:
            return self._encoder.encode_lines(results), {}
        except Exception:  # noqa: BLE001 - whatever it was, it is said of the result it is about
            return self._one_by_one(results)

    def _one_by_one(self, results: Sequence[Any]) -> tuple[bytes, Mapping[int, str]]:
        lines: list[bytes] = []
        bad: dict[int, str] = {}
        for index, result in enumerate(results):
            try:
                lines.append(self._encoder.encode(result) + b"\n")
            except Exception as error:  # noqa: BLE001 - as above
                bad[index] = f"the result is not JSON: {type(error).__name__}: {error}"
        return b"".join(lines), bad
