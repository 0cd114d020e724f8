from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from gristmill.databases.names import TableName
from gristmill.streams.sql.create_table import create_table


class Row(msgspec.Struct, rename="camel"):
    row_id: Annotated[int, msgspec.Meta(ge=0)]
    price: Decimal | None
    seen: datetime | msgspec.UnsetType
    level: Literal["low", "high"]
    ratio: int | float
    mixed: int | str
    tags: list[str]
    inner: Inner


class Inner(msgspec.Struct):
    x: int


class Typed(TypedDict):
    name: str
    age: NotRequired[int]


class Model(pydantic.BaseModel):
    raw: bytes = pydantic.Field(b"", alias="rawBytes")


def test_each_type_has_its_column() -> None:
    assert create_table("postgresql", TableName(table="t"), Row, ["rowId"]) == (
        'CREATE TABLE "t" (\n'
        '  "rowId" bigint NOT NULL,\n'
        '  "price" numeric,\n'
        '  "seen" timestamp with time zone,\n'
        '  "level" text NOT NULL,\n'
        '  "ratio" double precision NOT NULL,\n'
        '  "mixed" text NOT NULL,\n'
        '  "tags" jsonb NOT NULL,\n'
        '  "inner" jsonb NOT NULL,\n'
        '  PRIMARY KEY ("rowId")\n'
        ")"
    )


def test_sqlite_has_types_of_its_own() -> None:
    assert create_table("sqlite", TableName(table="t"), Typed, []) == (
        'CREATE TABLE "t" (\n  "name" TEXT NOT NULL,\n  "age" INTEGER\n)'
    )
    assert create_table("sqlite", TableName(table="t"), Model, []) == (
        'CREATE TABLE "t" (\n  "rawBytes" BLOB NOT NULL\n)'
    )


@pytest.mark.parametrize("kind", [Any, dict, dict[str, int], int])
def test_a_type_without_fields_makes_no_table(kind: Any) -> None:
    assert create_table("postgresql", TableName(table="t"), kind, []) is None
