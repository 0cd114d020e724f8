"""``MongoWriter``: a batch of documents by one ``insert_many``, one outcome a document."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Protocol

import bson
import msgspec
import pymongo.errors
from bson.codec_options import DEFAULT_CODEC_OPTIONS

from gristmill.codec import pydantic_models
from gristmill.databases.mongo.errors import LARGEST, NOT_WRITABLE, batch_error, failures_of, unwritable
from gristmill.databases.outages import OUTAGES, failed_of
from gristmill.databases.slugs import refusal
from gristmill.model.outcome import Failed

logger = logging.getLogger("gristmill.databases")


class Collection(Protocol):
    """What is used of ``pymongo.asynchronous.collection.AsyncCollection``."""

    async def insert_many(self, documents: Any, *, ordered: bool, session: Any = None) -> Any:
        """Insert *documents*."""


class MongoWriter:
    """Inserts batches of documents into one collection.

    ::

        client = pymongo.AsyncMongoClient("mongodb://localhost")
        writer = MongoWriter(client.shop.users)

    Documents are dicts, msgspec Structs, dataclasses or pydantic models. A
    batch is one unordered bulk: MongoDB goes on past a document it refuses.
    Each document is given its ``_id`` before it is sent, so ids pair with items.

    Args:
        collection: Of pymongo's asynchronous client, which stays the caller's.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._codec = getattr(collection, "codec_options", DEFAULT_CODEC_OPTIONS)

    async def insert_many(self, items: Iterable[Any], *, session: Any = None) -> list[Any | Failed]:
        """Insert *items*.

        Args:
            items: Documents.
            session: Of the client, with a transaction perhaps. In a transaction
                MongoDB undoes everything at the first error, so do not go on with it then.

        Returns:
            One entry an item, in their order: the ``_id`` of the document, or
            ``Failed`` with ``unique_violation``, ``check_violation`` (the
            collection's validator), ``type_mismatch``, ``number_out_of_range``
            or ``too_big``. All of them with ``database_unavailable`` or
            ``pool_timeout``, retryable, or ``commit_unknown`` if the connection broke.

        Raises:
            DatabaseFailed: MongoDB refused the bulk as a whole.
        """
        wanted = list(items)
        outcomes: list[Any] = [None] * len(wanted)
        documents: list[dict[str, Any]] = []
        places: list[int] = []
        for place, item in enumerate(wanted):
            try:
                document = document_of(item)
                identity = document.setdefault("_id", bson.ObjectId())
                size = len(bson.encode(document, codec_options=self._codec))
            except NOT_WRITABLE as error:
                outcomes[place] = unwritable(error)
                continue
            if size > LARGEST:  # the driver would refuse all of the bulk, or what is left of it
                outcomes[place] = refusal("too_big")
                continue
            outcomes[place] = identity
            documents.append(document)
            places.append(place)
        if documents:
            for index, failed in (await self._failures(documents, session)).items():
                outcomes[places[index]] = failed
        return outcomes

    async def _failures(self, documents: list[dict[str, Any]], session: Any) -> Mapping[int, Failed]:
        try:
            await self._collection.insert_many(documents, ordered=False, session=session)
        except pymongo.errors.BulkWriteError as error:
            return failures_of(error.details, len(documents))
        except pymongo.errors.PyMongoError as error:
            raised = batch_error(error)
            if not isinstance(raised, OUTAGES):
                raise raised from error
            logger.warning("a batch of %d documents failed: %s", len(documents), error)
            return dict.fromkeys(range(len(documents)), failed_of(raised))
        return {}


def document_of(item: Any) -> dict[str, Any]:
    """Return *item* as a new dict.

    Raises:
        TypeError: It has no fields.
    """
    if isinstance(item, dict):
        return dict(item)
    if pydantic_models.is_model(type(item)):
        return dict(item.model_dump(by_alias=True))
    plain = _plain(item)
    if not isinstance(plain, dict):
        raise TypeError(f"a document is a dict or an object with fields, not {type(item).__name__}")
    return plain


def _plain(value: Any) -> Any:
    """Return *value* with objects as dicts; what BSON knows stays as it is."""
    if isinstance(value, msgspec.Struct):
        found = [(each.encode_name, getattr(value, each.name)) for each in msgspec.structs.fields(value)]
        return {name: _plain(each) for name, each in found if each is not msgspec.UNSET}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, Enum) else value
