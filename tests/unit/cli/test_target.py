from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gristmill import App
from gristmill.batching.handler import BatchHandler
from gristmill.cli.target import TargetBroken, load_app, load_handler
from gristmill.errors import ConfigurationError

TEXT = """
from gristmill import App, batch

@batch(name="echo")
async def echo(items: list[int]) -> list[int]:
    return items

class Registry:
    app = App(handlers=[echo])

app = Registry.app
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module of a name of its own; imports are undone at the end."""
    (tmp_path / "served_once.py").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("served_once", "broken_once"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(sys.modules, name, None)  # so that the undo removes it
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.mark.parametrize(
    "target",
    [
        "served_once:app",
        "served_once",
        "served_once.py",
        "./served_once.py:app",
        "served_once:Registry.app",
        "served_once:echo",
    ],
)
def test_an_app_is_found_however_it_is_written(place: Path, target: str) -> None:
    app = load_app(target)
    assert isinstance(app, App)
    assert [handler.name for handler in app.handlers] == ["echo"]


def test_a_file_is_imported_under_its_own_name_for_worker_processes(place: Path) -> None:
    app = load_app(str(place / "served_once.py"))
    assert app.handlers[0].func.__module__ == "served_once"
    assert "served_once" in sys.modules


def test_a_file_named_like_a_module_in_use_is_refused(place: Path) -> None:
    (place / "json.py").write_text(TEXT)
    with pytest.raises(ConfigurationError, match="rename the file"):
        load_app("json.py:app")


def test_an_attribute_that_is_missing_is_answered_with_those_there_are(place: Path) -> None:
    with pytest.raises(ConfigurationError, match="try served_once:app or served_once:echo"):
        load_app("served_once:nope")
    with pytest.raises(ConfigurationError, match="is a type, no App"):
        load_app("served_once:Registry")


@pytest.mark.parametrize("text", ["import served_never", "1 / 0", "def", "from served_once import nope"])
def test_code_that_fails_is_the_users_own_error(place: Path, text: str) -> None:
    (place / "broken_once.py").write_text(text)
    with pytest.raises(TargetBroken, match="importing broken_once failed") as caught:
        load_app("broken_once:app")
    assert caught.value.__cause__ is not None


def test_what_our_decorator_refuses_is_shown_as_it_is(place: Path) -> None:
    (place / "broken_once.py").write_text(
        "from gristmill import batch\n@batch(max_size=0)\nasync def f(x: list): ...\n"
    )
    with pytest.raises(ConfigurationError, match="max_size") as caught:
        load_app("broken_once:f")
    assert not isinstance(caught.value, TargetBroken)


SEVERAL = """
from gristmill import App, batch

@batch
async def mails(items: list[int]) -> list[int]:
    return items

@batch(name="prefix")
async def numbers(items: list[int]) -> list[int]:
    return items

class Registry:
    app = App(handlers=[mails, numbers])

app = Registry.app
none = App(handlers=[])
"""


@pytest.mark.parametrize(
    "target",
    ["served_once:echo", "served_once.py:echo", "served_once", "served_once:app", "served_once:Registry.app"],
)
def test_a_handler_is_found_as_it_is_or_as_the_only_one_of_an_app(place: Path, target: str) -> None:
    handler = load_handler(target)
    assert isinstance(handler, BatchHandler)
    assert handler.name == "echo"


def test_one_of_several_handlers_is_named_behind_its_app(place: Path) -> None:
    (place / "served_once.py").write_text(SEVERAL)
    assert load_handler("served_once:app.mails").name == "mails"
    # An App has an attribute of that name, too.
    assert load_handler("served_once:Registry.app.prefix").name == "prefix"
    with pytest.raises(
        ConfigurationError, match=r"several handlers; try served_once:app.mails or served_once:app.prefix"
    ):
        load_handler("served_once:app")
    with pytest.raises(
        ConfigurationError, match=r"no 'Registry.app.nope'; try served_once:Registry.app.mails"
    ):
        load_handler("served_once:Registry.app.nope")
    with pytest.raises(ConfigurationError, match="has no handler"):
        load_handler("served_once:none")


def test_what_is_no_handler_is_answered_with_those_there_are(place: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="is a type, no batch handler and no App; try served_once:app"
    ):
        load_handler("served_once:Registry")
    with pytest.raises(ConfigurationError, match="has no 'nope'; try served_once:app or served_once:echo"):
        load_handler("served_once:nope")
