"""Records of CSV become the JSON of items: the same rows, by the same code, as ``gristmill run`` reads."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gristmill.codec import pydantic_models
from gristmill.errors import ConfigurationError, MalformedInput
from gristmill.http.codec import ItemCodec, refusal_of
from gristmill.http.jobs.query import Query, invalid_option
from gristmill.http.problems import Refused, problem
from gristmill.streams.formats.dialect import COMMA, Dialect, Quoting
from gristmill.streams.formats.encoding import check_encoding
from gristmill.streams.formats.header import OnDuplicate, read_header
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.typed_rows import converter
from gristmill.wire import Problem

_LONGEST = 40  # characters of an option
_ENCODINGS = re.compile(r"utf-8|ascii|iso8859-\d+|cp\d+|koi8-[a-z]|mac-[a-z]+|euc_[a-z]+")
"""Those that make one character of each byte or pair, and nothing else: no escapes, no compression."""


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How CSV is written, in the words of ``gristmill run``.

    Attributes:
        dialect: Its delimiter and quotes.
        encoding: Of the text.
        on_duplicate: What becomes of columns of one name.
    """

    dialect: Dialect = COMMA
    encoding: str = "utf-8"
    on_duplicate: OnDuplicate = "error"

    def header(self, record: bytes | None) -> Layout:
        """Return the columns that the first *record* names.

        Raises:
            Refused: ``malformed_csv``.
        """
        try:
            names = read_header(record or b"", self.dialect, self.encoding, on_duplicate=self.on_duplicate)
        except MalformedInput as error:
            detail = (
                f"the first row does not name the columns: it must be text in {self.encoding}, each name "
                "once unless on_duplicate is rename or first, with quotes as the option quoting says"
            )
            raise Refused(problem("malformed_csv", detail=detail)) from error
        return Layout(names)


def stray_quote(line: int) -> Refused:
    """Return the refusal of a body with a quote that RFC 4180 does not allow in the record on *line*."""
    detail = (
        f"the record on line {line}: a quote stands where RFC 4180 allows none, or is never closed; to read "
        "such quotes as characters say quoting=lenient, or all with quoting=none"
    )
    return Refused(problem("malformed_csv", detail=detail))


def csv_options(query: Query, delimiter: str) -> CsvOptions:
    """Return how *query* says that CSV is written.

    Args:
        query: Of the request.
        delimiter: The one of the format.

    Raises:
        Refused: ``invalid_option``.
    """
    quoting: Quoting = query.literal("quoting", Quoting, "rfc4180")
    try:
        dialect = Dialect(query.raw("delimiter") or delimiter, quoting)
    except ConfigurationError as error:
        raise invalid_option("delimiter", "one ASCII character that is no quote or line end") from error
    on_duplicate: OnDuplicate = query.literal("on_duplicate", OnDuplicate, "error")
    return CsvOptions(dialect, _encoding(query.text("encoding", _LONGEST) or "utf-8", dialect), on_duplicate)


def _encoding(name: str, dialect: Dialect) -> str:
    try:
        found = codecs.lookup(name).name
        if _ENCODINGS.fullmatch(found) is not None:
            check_encoding(found, dialect)
            return found
    except (LookupError, ConfigurationError):
        pass
    raise invalid_option("encoding", "utf-8, or one that keeps ASCII, such as cp1252 or iso8859-15")


class RowCodec:
    """Makes the JSON of items of rows of strings.

    Strings become what the item's type wants as far as msgspec converts them; an empty cell that cannot be
    that is left out, so that the field's default holds. Of pydantic models the strings themselves are the
    JSON: pydantic converts them.

    Args:
        items: Reads the items of the handler.
    """

    def __init__(self, items: ItemCodec) -> None:
        is_known = items.typed is not None and not pydantic_models.mentions_model(items.typed)
        self._convert = converter(items.typed) if is_known else None
        self._encoder = msgspec.json.Encoder()

    def texts(self, rows: Sequence[dict[str, str]]) -> list[bytes] | None:
        """Return the JSON of each item; None if one of *rows* is none, which ``text`` tells apart."""
        try:
            items: Sequence[Any] = rows if self._convert is None else self._convert.many(rows)
            return list(map(self._encoder.encode, items))
        except Exception:  # noqa: BLE001 - whatever it is, it is said of one row
            return None

    def text(self, row: dict[str, str], at: str) -> bytes | Problem:
        """Return the JSON of the item in *row*, or what is wrong with it, *at* the pointer of the item."""
        try:
            return self._encoder.encode(row if self._convert is None else self._convert.one(row))
        except Exception as error:  # noqa: BLE001 - a check in the item's type may raise what it likes
            return refusal_of(error, at).problem
