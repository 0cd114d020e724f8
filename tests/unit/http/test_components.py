from __future__ import annotations

import pytest

from gristmill.http.components import Components

A = {"$ref": "#/components/schemas/A"}
B = {"$ref": "#/components/schemas/B"}


def test_equal_definitions_are_one():
    components = Components()

    first = components.adopt(A, {"A": {"type": "integer"}})
    second = components.adopt(A, {"A": {"type": "integer"}})

    assert first == second == A
    assert components.schemas == {"A": {"type": "integer"}}


def test_a_second_type_of_one_name_gets_the_suffix_and_then_numbers():
    components = Components()
    refs = [
        components.adopt(A, {"A": {"const": number}}, suffix)["$ref"].rpartition("/")[2]
        for number, suffix in enumerate(["Output", "Output", "Output", "", ""])
    ]

    assert refs == ["A", "AOutput", "AOutput2", "A2", "A3"]
    assert [components.schemas[name]["const"] for name in refs] == [0, 1, 2, 3, 4]


def test_what_refers_to_a_renamed_type_is_a_type_of_its_own():
    components = Components()
    outer = {"properties": {"b": B}}

    components.adopt(A, {"A": outer, "B": {"type": "integer"}})
    second = components.adopt({"type": "array", "items": A}, {"A": outer, "B": {"type": "string"}})

    assert second == {"type": "array", "items": {"$ref": "#/components/schemas/A2"}}
    assert components.schemas["A2"]["properties"]["b"] == {"$ref": "#/components/schemas/B2"}
    assert components.schemas["A"]["properties"]["b"] == B


def test_a_type_that_contains_itself_is_renamed_as_a_whole():
    components = Components()
    components.add("A", {"const": 1})

    renamed = components.adopt(A, {"A": {"items": A}})

    assert components.schemas["A2"] == {"items": renamed}


def test_discriminators_follow_their_types():
    components = Components()
    components.add("A", {"const": 1})

    union = {"anyOf": [A], "discriminator": {"propertyName": "type", "mapping": {"a": A["$ref"]}}}
    renamed = components.adopt(union, {"A": {"const": 2}})

    assert renamed["discriminator"]["mapping"] == {"a": "#/components/schemas/A2"}


def test_names_hold_only_what_openapi_allows_and_stay_apart():
    components = Components()

    components.adopt({}, {"Größe[m]": {"const": 1}, "Größe(m)": {"const": 2}})

    assert sorted(components.schemas) == ["Gr_e_m_", "Gr_e_m_2"]
    assert {schema["const"] for schema in components.schemas.values()} == {1, 2}


def test_the_document_lists_names_in_order():
    components = Components()
    components.add("Z", {})
    components.add("A", {})
    components.put("headers", "Batch-Id", {})

    assert list(components.document()["schemas"]) == ["A", "Z"]
    assert list(components.document()) == ["schemas", "headers"]


def test_inlined_writes_every_reference_in_place_and_keeps_what_stands_beside_it():
    components = Components()
    components.add("A", {"type": "object", "properties": {"b": B}, "description": "inner"})
    components.add("B", {"type": "integer"})
    header = components.put("headers", "H", {"schema": A})

    assert components.inlined({"headers": {"H": header}, "schema": {**A, "description": "outer"}}) == {
        "headers": {
            "H": {
                "schema": {"type": "object", "properties": {"b": {"type": "integer"}}, "description": "inner"}
            }
        },
        "schema": {"type": "object", "properties": {"b": {"type": "integer"}}, "description": "outer"},
    }


def test_inlining_a_type_that_contains_itself_ends():
    components = Components()
    components.add("A", {"type": "array", "items": A})

    assert components.inlined(A) == {
        "type": "array",
        "items": {"title": "A", "description": "Another A, as above."},
    }


def test_inlining_drops_discriminators_as_their_names_are_gone():
    components = Components()
    components.add("A", {"const": 1})

    union = {"anyOf": [A], "discriminator": {"propertyName": "type", "mapping": {"a": A["$ref"]}}}

    assert components.inlined(union) == {"anyOf": [{"const": 1}]}


def test_a_reference_to_nothing_is_a_bug_that_shows():
    with pytest.raises(KeyError):
        Components().inlined(A)
