"""The named parts of an OpenAPI document: each name once, and a way to write them all in place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gristmill.http.schemas import REF_PREFIX, Definitions, Schema

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


class Components:
    """Collects the ``components`` of one document.

    Two types of one name keep apart: the second gets a suffix, and whatever
    refers to it follows. Two equal ones are one.
    """

    def __init__(self) -> None:
        self._sections: dict[str, dict[str, Any]] = {"schemas": {}}

    @property
    def schemas(self) -> Definitions:
        """Name -> schema of all so far."""
        return self._sections["schemas"]

    def put(self, section: str, name: str, part: Any) -> dict[str, str]:
        """Add *part* to *section* under exactly *name* and return a reference to it."""
        self._sections.setdefault(section, {})[name] = part
        return {"$ref": f"#/components/{section}/{name}"}

    def add(self, name: str, schema: Schema) -> Schema:
        """Add a schema under *name*, or the next free one, and return a reference to it."""
        return self.adopt({"$ref": REF_PREFIX + name}, {name: schema})

    def adopt(self, schema: Schema, definitions: Definitions, suffix: str = "") -> Schema:
        """Add *definitions*, and return *schema* with its references as they now read.

        Args:
            schema: A schema as ``item_schema`` gives it.
            definitions: What it refers to.
            suffix: Goes behind the name of a definition that another type has already.
        """
        names = self._names(definitions, suffix)
        for name, definition in definitions.items():
            self.schemas[names[name]] = _renamed(definition, names)
        renamed: Schema = _renamed(schema, names)
        return renamed

    def _names(self, definitions: Definitions, suffix: str) -> dict[str, str]:
        """Choose names until every definition is either new under its name or equal to what is there.

        A new name changes those that refer to it, so one round may not be enough.
        """
        names = {name: _NOT_IN_NAMES.sub("_", name) for name in definitions}
        tries = dict.fromkeys(definitions, 0)
        while clashes := [name for name in definitions if self._is_taken(name, definitions, names)]:
            for name in clashes:
                tries[name] += 1
                names[name] = _NOT_IN_NAMES.sub("_", name) + _suffix(suffix, tries[name])
        return names

    def _is_taken(self, name: str, definitions: Definitions, names: dict[str, str]) -> bool:
        wanted = names[name]
        if any(other != name and names[other] == wanted for other in definitions if other < name):
            return True
        return wanted in self.schemas and self.schemas[wanted] != _renamed(definitions[name], names)

    def document(self) -> dict[str, dict[str, Any]]:
        """Return the ``components`` object, sections in the order they were begun, names sorted."""
        return {section: dict(sorted(parts.items())) for section, parts in self._sections.items() if parts}

    def inlined(self, node: Any) -> Any:
        """Return *node* with every reference replaced by what it names.

        For documents whose components belong to somebody else. Where a schema
        contains itself the inner one is left open, with its name as title.
        """
        return self._inlined(node, ())

    def _inlined(self, node: Any, open_refs: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [self._inlined(part, open_refs) for part in node]
        if not isinstance(node, dict):
            return node
        ref = node.get("$ref")
        if isinstance(ref, str):
            section, name = ref.split("/")[-2:]
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            if ref in open_refs:
                return {"title": name, "description": f"Another {name}, as above.", **siblings}
            target = self._sections[section][name]
            return self._inlined({**target, **siblings}, (*open_refs, ref))
        kept: Iterable[tuple[str, Any]] = node.items()
        if "anyOf" in node or "oneOf" in node:
            kept = [(key, value) for key, value in kept if key != "discriminator"]  # it maps to names
        return {key: self._inlined(value, open_refs) for key, value in kept}


def _suffix(suffix: str, tries: int) -> str:
    if suffix and tries == 1:
        return suffix
    return f"{suffix}{tries if suffix else tries + 1}"


def _renamed(node: Any, names: dict[str, str]) -> Any:
    """Return a copy of *node* whose references, also those of discriminators, have their new *names*."""
    if isinstance(node, list):
        return [_renamed(part, names) for part in node]
    if isinstance(node, dict):
        return {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node, str) and node.startswith(REF_PREFIX):
        name = node.removeprefix(REF_PREFIX)
        return REF_PREFIX + names.get(name, name)
    return node
