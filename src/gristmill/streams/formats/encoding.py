"""What the bytes of a text file say of its encoding, and which encodings records can be found in."""

from __future__ import annotations

import codecs
from functools import lru_cache

from gristmill.errors import ConfigurationError, MalformedInput
from gristmill.streams.formats.dialect import QUOTE, Dialect

UTF_8_BOM = codecs.BOM_UTF8

_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def bom_length(head: bytes | memoryview) -> int:
    """Return how many bytes of UTF-8's byte order mark a file begins with: 3 or 0."""
    return len(UTF_8_BOM) if bytes(head[: len(UTF_8_BOM)]) == UTF_8_BOM else 0


@lru_cache(maxsize=32)
def check_encoding(encoding: str, dialect: Dialect) -> None:
    """Check that line ends, quotes and delimiters can be found as bytes in *encoding*.

    They can in UTF-8, in the ISO 8859 and Windows families and in EUC; not in UTF-16, and in Shift JIS, Big5
    and GB 18030 only with a delimiter that is no second byte of a character.

    Raises:
        ConfigurationError: They cannot, or Python knows no such encoding; the message says what to do.
    """
    ascii_bytes = bytes(range(128))
    try:
        has_shifts = codecs.lookup(encoding).name.startswith("iso2022")
        keeps_ascii = not has_shifts and ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except LookupError as error:
        raise ConfigurationError(f"Python knows no encoding {encoding!r}") from error
    except UnicodeError:
        keeps_ascii = False
    if not keeps_ascii:
        raise ConfigurationError(
            f"records cannot be found in {encoding}: convert first with iconv -f {encoding} -t utf-8"
        )
    for mark in (dialect.delimiter, QUOTE, "\r", "\n"):
        if any(_is_second_byte(bytes([lead]), mark, encoding) for lead in range(128, 256)):
            raise ConfigurationError(
                f"{mark!r} is part of other characters in {encoding}:"
                f" convert first with iconv -f {encoding} -t utf-8"
            )


def check_head(head: bytes | memoryview, encoding: str) -> None:
    """Check that a file that begins with *head* may be text in *encoding*.

    Raises:
        MalformedInput: It has the byte order mark of another encoding, or NUL bytes.
    """
    beginning = bytes(head)
    if codecs.lookup(encoding).name == "utf-8":
        for mark, name in _WIDE.items():
            if beginning.startswith(mark):
                found = name.lower()
                raise MalformedInput(f"{name}: convert first with iconv -f {found} -t utf-8", offset=0)
    if (at := beginning.find(b"\0")) >= 0:
        raise MalformedInput(
            f"a NUL byte at byte {at}: this is no {encoding} text; if it is UTF-16,"
            " convert first with iconv -f utf-16 -t utf-8",
            offset=at,
        )


def _is_second_byte(lead: bytes, mark: str, encoding: str) -> bool:
    text = (lead + mark.encode()).decode(encoding, "replace")
    return not text.endswith(mark)
