"""Columns of any type as columns of text, the one that the writer of rows has for each value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.codec.results import encode_hook

_LEAST, _MOST = 1e-4, 1e10
"""Between these, Arrow writes a number as Python does, but for the ``.0`` of a whole one."""


def as_text(column: Any) -> Any:
    """Return *column* as a string array; null stays null.

    Numbers are in the fewest digits that say them, those with a fraction as ``repr`` has them (``100.0``,
    ``1e-07``); times in ISO 8601, without a fraction where it is zero; ``true`` and ``false``; JSON for what
    has parts. A 32-bit float has the digits of its own precision.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_floating(kind):
        return _of_floats(column)
    if pa.types.is_timestamp(kind):
        return _of_timestamps(column)
    if pa.types.is_time(kind):
        return _of_times(column)
    if pa.types.is_nested(kind) or _is_binary(kind) or pa.types.is_duration(kind):
        return pa.array([_of_one(value) for value in python_values(column)], pa.string())
    return pc.cast(column, pa.string())


def _is_binary(kind: Any) -> bool:
    types = pa.types
    tests = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(test(kind) for test in tests)


def _of_floats(column: Any) -> Any:
    text = pc.cast(column, pa.string())
    if pa.types.is_float16(column.type):
        column = pc.cast(column, pa.float32())
    size = pc.abs(column)
    ends = pc.min_max(size)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    if least is None:
        return text
    is_whole = pc.equal(size, pc.floor(size))
    if most >= _MOST:
        is_whole = pc.and_(is_whole, pc.less(size, _MOST))
    text = _replaced(text, is_whole, lambda cells, _: pc.binary_join_element_wise(cells, ".0", ""), column)
    if least < _LEAST:
        is_tiny = pc.and_(pc.less(size, _LEAST), pc.greater(size, 0.0))
        text = _replaced(text, is_tiny, _as_python, column)
    if most >= _MOST:
        is_huge = pc.and_(pc.greater_equal(size, _MOST), pc.is_finite(size))
        text = _replaced(text, is_huge, _as_python, column)
    return text


def _replaced(text: Any, mask: Any, make: Callable[[Any, Any], Any], column: Any) -> Any:
    """Return *text* with what *make* makes, of its cells and values, where *mask* is true."""
    count = pc.sum(mask).as_py()
    if not count:
        return text
    if count == len(text):
        return make(text, column)
    mask = mask.fill_null(False)
    made = make(text.filter(mask), column.filter(mask))
    places = _count_from_zero(len(text) + count)
    # To take strings is twice as fast as to replace them.
    taken = pc.replace_with_mask(places.slice(0, len(text)), mask, places.slice(len(text)))
    return pa.concat_arrays([text, made]).take(taken)


def _count_from_zero(length: int) -> Any:
    return pc.subtract(
        pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int32()), length)), pa.scalar(1, pa.int32())
    )


def _as_python(cells: Any, values: Any) -> Any:
    """Return the text that Python has for *values*, none of them null, that *cells* say."""
    if values.type != pa.float64():
        return pa.array([repr(float(cell)) for cell in cells.to_pylist()], pa.string())
    numbers = memoryview(values.buffers()[1]).cast("d")[values.offset : values.offset + len(values)]
    return pa.array(list(map(repr, numbers.tolist())), pa.string())


def _of_timestamps(column: Any) -> Any:
    text = pc.replace_substring(_of_times(column), " ", "T", max_replacements=1)
    zone = column.type.tz
    if zone is None or zone == "UTC":
        return text
    text = pc.replace_substring_regex(text, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    return pc.replace_substring_regex(text, r"\+00:00$", "Z")


def _of_times(column: Any) -> Any:
    column = _in_microseconds(column)
    text = pc.cast(column, pa.string())
    if column.type.unit == "us" and b".000000" in bytes(bytes_of(text)):
        return pc.replace_substring(text, ".000000", "")
    return text


def _in_microseconds(column: Any) -> Any:
    """Return times in microseconds, as Python has them; finer ones as they are if they need to be."""
    kind = column.type
    if kind.unit in ("s", "us"):
        return column
    is_stamp = pa.types.is_timestamp(kind)
    try:
        return column.cast(pa.timestamp("us", kind.tz) if is_stamp else pa.time64("us"))
    except pa.ArrowInvalid:
        return column


def as_python(column: Any) -> Any:
    """Return *column* with times and durations in microseconds, as Python's are: what is finer is cut off.

    Arrow gives those in nanoseconds as objects of pandas, or not at all where that is not installed.
    """
    kind = column.type
    wanted = _in_python(kind)
    return column if wanted is kind else pc.cast(column, wanted, safe=False)


def python_values(column: Any) -> list[Any]:
    """Return the values of *column* as Python has them; see ``as_python``.

    A map from texts or whole numbers is a dict. One that has a key twice, which the format does not forbid,
    is a list of pairs, as is a map from anything else.
    """
    column = as_python(column)
    if not _are_dicts(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    try:
        return column.to_pylist(maps_as_pydicts="strict")  # type: ignore[no-any-return]
    except KeyError:
        return list(map(_python_value, column))


def _python_value(value: Any) -> Any:
    try:
        return value.as_py(maps_as_pydicts="strict")
    except KeyError:
        return value.as_py()


def _are_dicts(kind: Any) -> bool:
    """Tell whether *kind* has maps in it, all of whose keys may be those of a JSON object."""
    found = list(_keys(kind))
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_integer)
    return bool(found) and all(any(test(key) for test in tests) for key in found)


def _keys(kind: Any) -> Iterator[Any]:
    """Yield the types of the keys of all maps in *kind*."""
    if pa.types.is_map(kind):
        yield kind.key_type
        yield from _keys(kind.item_type)
    elif pa.types.is_nested(kind):
        for place in range(kind.num_fields):
            yield from _keys(kind.field(place).type)


def _in_python(kind: Any) -> Any:
    """Return the type that *kind* has with its times in microseconds; *kind* itself where nothing changes."""
    types = pa.types
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz) if kind.unit == "ns" else kind
    if types.is_duration(kind):
        return pa.duration("us") if kind.unit == "ns" else kind
    if types.is_struct(kind):
        fields = [field.with_type(_in_python(field.type)) for field in kind]
        found = pa.struct(fields)
    elif types.is_map(kind):
        found = pa.map_(_in_python(kind.key_type), kind.item_field.with_type(_in_python(kind.item_type)))
    elif types.is_large_list(kind):
        found = pa.large_list(kind.value_field.with_type(_in_python(kind.value_type)))
    elif types.is_fixed_size_list(kind):
        found = pa.list_(kind.value_field.with_type(_in_python(kind.value_type)), kind.list_size)
    elif types.is_list(kind):
        found = pa.list_(kind.value_field.with_type(_in_python(kind.value_type)))
    elif types.is_dictionary(kind):
        before = kind.value_type
        value = _in_python(before)
        return kind if value is before else value
    else:
        return kind
    return kind if found.equals(kind) else found


def _of_one(value: Any) -> str | None:
    if value is None:
        return None
    plain = msgspec.to_builtins(value, enc_hook=encode_hook)
    return plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()


def bytes_of(text: Any) -> memoryview:
    """Return the characters of all strings of *text*, one after another, without a copy."""
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return memoryview(b"")
    places = memoryview(offsets).cast("i")
    return memoryview(data)[places[text.offset] : places[text.offset + len(text)]]
