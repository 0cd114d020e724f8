"""The driver's own error objects as outcomes. No MongoDB server is part of the test suite."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from typing import Any

import bson
import msgspec
import pymongo
import pymongo.errors
import pytest

from gristmill import Failed
from gristmill.databases.mongo.errors import failures_of
from gristmill.databases.mongo.writer import MongoWriter, document_of
from gristmill.errors import ConfigurationError, DatabaseFailed


class Collection:
    """Stands in for the server at the one call that is made: raises what the driver would."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[dict[str, Any]] = []

    async def insert_many(self, documents: Any, *, ordered: bool, session: Any = None) -> None:
        assert not ordered
        self.sent = documents
        if self.error is not None:
            raise self.error


def details(*errors: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"writeErrors": list(errors), "writeConcernErrors": [], "nInserted": 0, **more}


DUPLICATE = {
    "index": 1,
    "code": 11000,
    "errmsg": "E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: 'secret' }",
    "keyPattern": {"email": 1},
    "keyValue": {"email": "secret"},
}


async def test_ids_come_back_in_the_order_of_the_items() -> None:
    collection = Collection()
    ids = await MongoWriter(collection).insert_many([{"a": 1}, {"_id": 7, "a": 2}, {"a": 3}])
    assert ids == [each["_id"] for each in collection.sent]
    assert ids[1] == 7
    assert isinstance(ids[0], bson.ObjectId)


def endless() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["itself"] = loop
    return loop


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"text": "\ud800"}, "type_mismatch"),
        ({"key": uuid.UUID(int=1)}, "type_mismatch"),  # whose form in BSON the collection does not say
        (endless(), "type_mismatch"),
        ({"text": "x" * (16 << 20)}, "too_big"),
    ],
)
async def test_a_document_that_cannot_be_sent_fails_alone(document: dict[str, Any], code: str) -> None:
    collection = Collection()
    stored = await MongoWriter(collection).insert_many([{"n": 1}, document, {"n": 2}])
    assert stored[1].code == code
    assert [each["n"] for each in collection.sent] == [1, 2]


async def test_what_the_codec_of_the_collection_writes_is_sent() -> None:
    collection: Any = pymongo.AsyncMongoClient(connect=False, uuidRepresentation="standard").shop.users
    sending = Collection()
    sending.codec_options = collection.codec_options  # type: ignore[attr-defined]
    (stored,) = await MongoWriter(sending).insert_many([{"key": uuid.UUID(int=1)}])
    assert stored == sending.sent[0]["_id"]


async def test_a_refused_document_fails_alone_and_shows_no_value() -> None:
    error = pymongo.errors.BulkWriteError(details(DUPLICATE, {"index": 3, "code": 121, "errmsg": "secret"}))
    stored = await MongoWriter(Collection(error)).insert_many([{"email": f"{n}"} for n in range(5)])
    assert stored[1] == Failed("email already exists", "unique_violation")
    assert stored[3].code == "check_violation"
    assert [isinstance(each, bson.ObjectId) for each in stored] == [True, False, True, False, True]
    assert "secret" not in repr(stored)


async def test_what_is_no_bson_fails_before_anything_is_sent_and_places_stay_right() -> None:
    error = pymongo.errors.BulkWriteError(details(DUPLICATE))
    collection = Collection(error)
    items = [{"a": object()}, {"a": 1}, {"a": 2**70}, {"email": "x"}, 5]
    stored = await MongoWriter(collection).insert_many(items)
    assert [each.code if isinstance(each, Failed) else "ok" for each in stored] == [
        "type_mismatch", "ok", "number_out_of_range", "unique_violation", "type_mismatch",
    ]  # fmt: skip
    assert len(collection.sent) == 2


def test_unconfirmed_writes_and_odd_codes_are_told_apart() -> None:
    found = failures_of(
        details({"index": 0, "code": 112, "errmsg": ""}, {"index": 2, "code": 9, "errmsg": ""}), 3
    )
    assert (found[0].retryable, found[2].retryable) == (True, False)
    unsure = failures_of(details(DUPLICATE, writeConcernErrors=[{"code": 64, "errmsg": "waiting"}]), 3)
    assert [unsure[n].code for n in range(3)] == ["commit_unknown", "unique_violation", "commit_unknown"]


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (pymongo.errors.ServerSelectionTimeoutError("no servers"), "database_unavailable", True),
        (pymongo.errors.WaitQueueTimeoutError("pool"), "pool_timeout", True),
        (pymongo.errors.AutoReconnect("reset"), "commit_unknown", False),
    ],
)
async def test_outages_are_the_outcome_of_every_document(
    error: Exception, code: str, *, retryable: bool
) -> None:
    stored = await MongoWriter(Collection(error)).insert_many([{"a": 1}, {"a": 2}])
    assert [(each.code, each.retryable) for each in stored] == [(code, retryable)] * 2


async def test_other_errors_are_raised() -> None:
    with pytest.raises(ConfigurationError):
        await MongoWriter(Collection(pymongo.errors.ConfigurationError("x"))).insert_many([{"a": 1}])
    with pytest.raises(DatabaseFailed, match="OperationFailure"):
        await MongoWriter(Collection(pymongo.errors.OperationFailure("secret"))).insert_many([{"a": 1}])


def test_objects_become_documents_with_the_names_they_have_in_json() -> None:
    class Colour(enum.Enum):
        RED = "red"

    class Inner(msgspec.Struct, rename="camel"):
        first_name: str

    @dataclasses.dataclass
    class Outer:
        inner: list[Inner]
        colour: Colour
        raw: bytes

    assert document_of(Outer([Inner("Ann")], Colour.RED, b"x")) == {
        "inner": [{"firstName": "Ann"}], "colour": "red", "raw": b"x",
    }  # fmt: skip
