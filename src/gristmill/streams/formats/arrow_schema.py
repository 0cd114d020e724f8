"""What Arrow says of columns beyond what Parquet does: the schemas stored beside footers, compared."""

from __future__ import annotations

import base64
from typing import Any

from gristmill.errors import ConfigurationError


def arrow_difference(first: bytes, other: bytes) -> str | None:
    """Return the first type that differs in two schemas, as ``ARROW:schema`` of Parquet metadata has them.

    Metadata of columns and of the table is not compared: that of pandas tells of rows.
    """
    ours, theirs = _schema(first), _schema(other)
    for mine, its in zip(ours, theirs, strict=False):
        if mine.name != its.name:
            return f"Arrow column {its.name!r} stands where the first has {mine.name!r}"
        if mine.type != its.type:
            return f"the Arrow type of {mine.name!r} is {its.type}, in the first {mine.type}"
    return None


def _schema(encoded: bytes) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError("Parquet needs pyarrow: pip install 'gristmill[streams]'.") from error
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(encoded)))
