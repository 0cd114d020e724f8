"""The documents say what is true: their code runs, their links lead somewhere, their names exist."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import gristmill
from gristmill import Failed, Ok
from gristmill.http.problems import KINDS
from gristmill.model.flush import FlushReason
from gristmill.model.limits import Limits

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)


def run(code: str, **known: Any) -> dict[str, Any]:
    """Run a block as a module of its own, so that its annotations resolve."""
    module = types.ModuleType("gristmill_document")
    module.__dict__.update(known)
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, "document", "exec"), module.__dict__)  # noqa: S102 - our own documents
    finally:
        del sys.modules[module.__name__]
    return module.__dict__


async def test_the_example_of_the_readme_works() -> None:
    example = run(blocks("README.md", "python")[0])
    create_users, new_user = example["create_users"], example["NewUser"]
    users = [new_user("Ada", "a@x"), new_user("Bob", "b@x"), new_user("Ada", "a@x")]
    answers = await create_users.outcomes(users)
    assert answers == [
        Ok(example["User"](1, "a@x")),
        Ok(example["User"](2, "b@x")),
        Failed("email is taken", code="unique_violation"),
    ]
    assert isinstance(example["app"], gristmill.App)


def test_the_options_of_the_readme_are_all_there_are() -> None:
    block = blocks("README.md", "python")[1]
    handler = run(block)["count_words"]
    assert handler.name == "count_words"
    shown = set(re.findall(r"\b(\w+)=", block))
    assert set(Limits.__dataclass_fields__) | {"executor"} <= shown


def test_the_fastapi_example_works() -> None:
    example = run(blocks("README.md", "python")[0])
    api = run(blocks("docs/http.md", "python")[0], app=example["app"], check_key=lambda: None)["api"]
    assert "/api/v1/users/batch" in api.openapi()["paths"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_every_code_and_flush_reason_is_documented() -> None:
    text = (ROOT / "docs" / "http.md").read_text()
    silent = {
        "failed",  # what a Failed has without a code
        "internal_error",
        "method_not_allowed",
        "reentrant",
        "invalid_batch",
        "invalid_item",
        "item_too_heavy",
        "duplicate_key",
        "unsupported_media_type",
        "unsupported_encoding",
    }
    assert [code for code in KINDS if f"`{code}`" not in text and code not in silent] == []
    assert [reason.value for reason in FlushReason if reason.value not in text] == []


def test_every_file_of_the_heart_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    files = [path.name for path in (ROOT / "src" / "gristmill" / "batching").glob("*.py")]
    assert [name for name in files if name != "__init__.py" and f"`{name}`" not in text] == []


def test_all_public_names_are_sorted_and_importable() -> None:
    assert sorted(gristmill.__all__) == gristmill.__all__
    assert all(hasattr(gristmill, name) for name in gristmill.__all__)
