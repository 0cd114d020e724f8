"""From the body of a batch to its items, whatever of the three forms it has.

``{"items": [{"id": "a", "data": ...}]}``, a bare array of items, or lines of
items. The usual body is decoded in one go, straight into the handler's type.
Only when that fails is it taken apart item by item, so that each bad item
gets its own verdict and its neighbours run. Members this version does not
know are ignored, in the envelope and in its entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, inspect

from gristmill.codec.items import decode_hook
from gristmill.http.codec import ItemCodec
from gristmill.http.item_count import has_far_too_many_items
from gristmill.http.problems import Refused, problem
from gristmill.http.settings import HttpLimits
from gristmill.http.strict_json import check_text, decode_plain
from gristmill.model.item_ids import ITEM_ID
from gristmill.wire import Complaint, Problem

_ID_LINES = re.compile(f"{ITEM_ID.pattern}(?:\n{ITEM_ID.pattern})*")

_RAWS = msgspec.json.Decoder(list[Raw])

_CONTAINERS = (
    inspect.StructType,
    inspect.DataclassType,
    inspect.TypedDictType,
    inspect.NamedTupleType,
    inspect.CollectionType,
    inspect.TupleType,
    inspect.DictType,
)

Ids: TypeAlias = list[str | None]


class _RawEnvelope(Struct):
    items: list[Raw]


class _RawEntry(Struct):
    data: Raw | UnsetType = UNSET


_ENVELOPE = msgspec.json.Decoder(_RawEnvelope)
_ENTRY = msgspec.json.Decoder(_RawEntry)


@dataclass(slots=True)
class BatchRequest:
    """The items of one batch and what is wrong with the others.

    Attributes:
        total: Entries in the request.
        items: The valid items, in the order of the request.
        positions: The place of each valid item in the request; None if all are valid.
        ids: The caller's id of every entry; None if no entry has one.
        refused: What is wrong, by place in the request.
        at: The pointer of the array of items in the body.
    """

    total: int
    items: list[Any]
    positions: list[int] | None = None
    ids: Ids | None = None
    refused: dict[int, Problem] = field(default_factory=dict)
    at: str = "#"

    def refuse_where(self, is_bad: Callable[[Any], bool], found: Problem) -> None:
        """Refuse the items that *is_bad* is true of, each with a problem like *found*."""
        places = range(self.total) if self.positions is None else self.positions
        kept = [(place, item) for place, item in zip(places, self.items, strict=True) if not is_bad(item)]
        self.positions = [place for place, _ in kept]
        self.items = [item for _, item in kept]
        for place in set(places).difference(self.positions):
            self.refused[place] = copy(found)

    def complaints(self) -> list[Complaint]:
        """Return all that is wrong with the refused items, in the order of the request."""
        found: list[Complaint] = []
        for index, refused in sorted(self.refused.items()):
            if isinstance(refused.errors, UnsetType):
                found.append(Complaint(f"{self.at}/{index}", refused.title))
            else:
                found += refused.errors
        return found


class BatchReader:
    """Reads batches of items of one handler."""

    def __init__(self, codec: ItemCodec, limits: HttpLimits) -> None:
        self._codec = codec
        self._limits = limits
        self._envelope: Callable[[bytes | bytearray], Any] | None = None
        self._array: Callable[[bytes | bytearray], list[Any]] | None = None
        self._lines: Callable[[bytes | bytearray], list[Any]] | None = None
        self._levels = 0
        if codec.typed is not None:
            entry = msgspec.defstruct("Entry", [("data", codec.typed), ("id", str | None, None)])
            envelope = msgspec.defstruct("Envelope", [("items", list[entry])])  # type: ignore[valid-type]  # made per handler
            self._envelope = _decoder(envelope).decode
            self._array = _decoder(list[codec.typed]).decode  # type: ignore[name-defined]  # as above
            self._lines = _decoder(codec.typed).decode_lines
            self._levels = int(_is_container(codec.typed))

    def read(self, body: bytes | bytearray, *, lines: bool = False) -> BatchRequest:
        """Return the items of *body*, which is JSON, or with *lines* one item of JSON per line.

        Raises:
            Refused: The request as a whole is not usable; no item of it may run.
        """
        if lines:
            return self._read_lines(body)
        if has_far_too_many_items(body, self._limits.batch_items):
            raise too_many_items(self._limits)
        if len(body) <= self._limits.item_bytes:  # so no item can be too large
            request = self._at_once(body)
            if request is not None:
                return request
        check_text(body, self._limits)
        return self._one_by_one(body)

    def _at_once(self, body: bytes | bytearray) -> BatchRequest | None:
        """Decode the whole of *body* into the handler's type, or None if any of it needs a closer look."""
        if self._envelope is None or self._array is None:
            return None
        ids: Ids | None = None
        at = "#"
        try:
            if body[:1] == b"[":
                items = self._array(body)
            else:
                at = "#/items"
                entries = self._envelope(body).items
                items = [entry.data for entry in entries]
                ids = [entry.id for entry in entries]
        except Exception:  # noqa: BLE001 - whatever it is, the closer look finds and reports it
            return None
        levels = self._levels + (ids is not None)  # that each entry has for itself: no two are open at once
        check_text(body, self._limits, apart=levels * max(0, len(items) - 1))
        if len(items) > self._limits.batch_items:
            raise too_many_items(self._limits)
        if ids is not None:
            ids = _checked_ids(ids)
        return BatchRequest(len(items), items, ids=ids, at=at)

    def _one_by_one(self, body: bytes | bytearray) -> BatchRequest:
        found, ids, at = split(body, self._limits)
        request = self._collect(found, ids)
        request.at = at
        return request

    def _read_lines(self, body: bytes | bytearray) -> BatchRequest:
        lines: list[bytes] = []
        for line in BytesIO(body):
            if line.strip():
                lines.append(line)
                if len(lines) > self._limits.batch_items:
                    raise too_many_items(self._limits)
        if self._lines is not None and len(body) <= self._limits.item_bytes:
            try:
                check_text(body, self._limits)
                items = self._lines(body)
            except Exception:  # noqa: BLE001 - whatever it is, the closer look finds and reports it
                items = None
            if items is not None:
                return BatchRequest(len(items), items)
        return self._collect([(line, f"#/{index}") for index, line in enumerate(lines)], None, check=True)

    def _collect(
        self, found: Sequence[tuple[Raw | bytes | Problem, str]], ids: Ids | None, *, check: bool = False
    ) -> BatchRequest:
        """Decode each of *found* on its own; with *check* each is a text of its own as well."""
        request = BatchRequest(len(found), [], [], ids)
        positions: list[int] = []
        for index, (raw, at) in enumerate(found):
            if isinstance(raw, Problem):
                request.refused[index] = raw
                continue
            try:
                request.items.append(self.decode_item(raw, at, check=check))
            except Refused as refused:
                request.refused[index] = refused.problem
            else:
                positions.append(index)
        request.positions = positions if request.refused else None
        return request

    def decode_item(self, text: Raw | bytes, at: str, *, check: bool = False) -> Any:
        """Return one item; with *check* its *text* has not passed ``check_text`` as part of a body.

        Raises:
            Refused: ``too_large``, ``malformed_json``, ``too_deep``, ``invalid_item``...
        """
        size = len(memoryview(text))
        if size > self._limits.item_bytes:
            raise Refused(problem("too_large", limit_bytes=self._limits.item_bytes))
        if check and isinstance(text, bytes):
            check_text(text, self._limits)
        return self._codec.decode(text, at)


def split(
    body: bytes | bytearray, limits: HttpLimits
) -> tuple[list[tuple[Raw | Problem, str]], Ids | None, str]:
    """Return the texts of the items of *body*, which has passed ``check_text``, and where each is.

    Returns:
        The text of each item, or what is wrong with its entry, with its pointer; the ids, None if there are
        none; and the pointer of the array.

    Raises:
        Refused: It is no batch, or has more items than *limits* allow.
    """
    plain = decode_plain(body)
    enveloped = isinstance(plain, dict)
    entries = plain.get("items") if enveloped else plain
    if not isinstance(entries, list):
        is_missing = enveloped and "items" not in plain
        detail = "missing" if is_missing else f"expected an array, got {_kind(entries)}"
        raise Refused(problem("invalid_batch", errors=[Complaint("#/items" if enveloped else "#", detail)]))
    if len(entries) > limits.batch_items:
        raise too_many_items(limits)
    if not enveloped:
        raws: Sequence[Raw] = _RAWS.decode(body)
        return [(raw, f"#/{index}") for index, raw in enumerate(raws)], None, "#"
    ids = _checked_ids([entry.get("id") if isinstance(entry, dict) else None for entry in entries])
    found: list[tuple[Raw | Problem, str]] = []
    for index, raw in enumerate(_ENVELOPE.decode(body).items):
        at = f"#/items/{index}"
        found.append((_data_of(raw, entries[index], at), at + "/data"))
    return found, ids, "#/items"


def too_many_items(limits: HttpLimits) -> Refused:
    """Return the refusal of a batch with more items than *limits* allow."""
    return Refused(problem("too_many_items", limit_items=limits.batch_items))


def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(wanted, dec_hook=decode_hook)


def _is_container(wanted: Any) -> bool:
    """Tell whether every value of the type *wanted* is an array or object of JSON."""
    return isinstance(inspect.type_info(wanted), _CONTAINERS)


def _checked_ids(ids: Sequence[Any]) -> Ids | None:
    """Return *ids* if they are usable, None if there are none."""
    kinds = set(map(type, ids))
    if kinds == {type(None)}:
        return None
    if kinds == {str} and len(set(ids)) == len(ids):
        joined = "\n".join(ids)
        if _ID_LINES.fullmatch(joined) is not None and joined.count("\n") == len(ids) - 1:
            return list(ids)
    places: dict[str, list[int]] = {}
    for index, one in enumerate(ids):
        if one is None:
            continue
        if not isinstance(one, str) or ITEM_ID.fullmatch(one) is None:
            raise Refused(
                problem("invalid_item_id", errors=[Complaint(f"#/items/{index}/id", "not a valid id")])
            )
        places.setdefault(one, []).append(index)
    if not places:
        return None
    doubled = [
        Complaint(f"#/items/{index}/id", "given twice")
        for at in places.values()
        if len(at) > 1
        for index in at
    ]
    if doubled:
        raise Refused(problem("duplicate_item_id", errors=doubled))
    return list(ids)


def _data_of(raw: Raw, entry: Any, at: str) -> Raw | Problem:
    if not isinstance(entry, dict):
        detail = f"expected an object with `data`, got {_kind(entry)}"
        return problem("invalid_item", errors=[Complaint(at, detail)])
    data = _ENTRY.decode(raw).data
    if isinstance(data, UnsetType):
        return problem(
            "invalid_item", errors=[Complaint(at, 'missing `data`: an entry is {"data": <the item>}')]
        )
    return data


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
