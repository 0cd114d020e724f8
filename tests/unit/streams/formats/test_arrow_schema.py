from __future__ import annotations

import base64

import pyarrow as pa

from gristmill.streams.formats.arrow_schema import arrow_difference


def stored(*fields: tuple[str, pa.DataType], metadata: dict[str, str] | None = None) -> bytes:
    return base64.b64encode(pa.schema(list(fields), metadata=metadata).serialize())


def test_types_and_names_are_compared_and_metadata_is_not() -> None:
    first = stored(("a", pa.int8()), ("b", pa.string()), metadata={"rows": "9"})
    assert arrow_difference(first, stored(("a", pa.int8()), ("b", pa.string()))) is None
    assert arrow_difference(first, stored(("a", pa.int8()), ("b", pa.large_string()))) == (
        "the Arrow type of 'b' is large_string, in the first string"
    )
    assert arrow_difference(first, stored(("x", pa.int8()), ("b", pa.string()))) == (
        "Arrow column 'x' stands where the first has 'a'"
    )
