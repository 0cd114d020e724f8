"""What a decoder raises for a text that is not what it should be, whatever is wrong with it."""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""It is no JSON or of another shape, a string in it is no UTF-8, or it is nested too deeply."""
