"""The bare structure of a JSON text: chosen signs outside strings. In C, so cheaper than parsing."""

from __future__ import annotations


def all_but(signs: bytes) -> bytes:
    """Return every byte that is neither one of *signs* nor a quote, for ``outside_strings``."""
    return bytes(byte for byte in range(256) if byte not in signs + b'"')


def outside_strings(text: bytes | bytearray, others: bytes) -> bytes:
    """Return the bytes of *text* that stand outside strings and are not in *others*, in their order."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    kept = bytes(text.translate(None, others))
    # A pair of adjacent quotes is an empty string, or two strings that nothing separates any more:
    # either way what is inside and outside of strings around it stays as it was.
    kept = kept.replace(b'""', b"")
    return b"".join(kept.split(b'"')[::2]) if b'"' in kept else kept
