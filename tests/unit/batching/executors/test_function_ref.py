from __future__ import annotations

import functools
import importlib.util
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gristmill.batching.executors.function_ref import FunctionRef, refer, resolve
from gristmill.errors import ConfigurationError


class Handler:
    """A decorator that puts an object in the place of the function, as @batch does."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func


def plain(items: list[int]) -> list[int]:
    return items


@Handler
def decorated(items: list[int]) -> list[int]:
    return items


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@wrapping
@Handler
@wrapping
def decorated_thrice(items: list[int]) -> list[int]:
    return items


renamed = wrapping(plain)  # it calls itself "plain", and is not what that name leads to


class Group:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @staticmethod
    def static(items: list[int]) -> list[int]:
        return items

    def bound(self, items: list[int]) -> list[int]:
        return [item * self.factor for item in items]


@pytest.fixture
def by_path(tmp_path: Path) -> Iterator[ModuleType]:
    file = tmp_path / "users.py"
    file.write_text("def create(items):\n    return items\n")
    spec = importlib.util.spec_from_file_location("users_by_path", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["users_by_path"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("users_by_path", None)


@pytest.mark.parametrize(
    ("function", "path"),
    [
        (plain, ("plain",)),
        (decorated.func, ("decorated", "func")),
        (decorated_thrice.func, ("decorated_thrice", "func")),
        (Group.static, ("Group", "static")),
    ],
)
def test_a_function_is_named_by_the_path_through_its_decorators(function: Any, path: tuple[str, ...]):
    ref = refer(function)
    assert ref == FunctionRef(module=__name__, file=__file__, path=path)
    assert resolve(ref) is function


def test_what_has_another_name_in_its_module_is_found_by_that_one():
    assert refer(renamed) == FunctionRef(module=__name__, file=__file__, path=("renamed",))
    assert resolve(refer(renamed)) is renamed


def test_a_builtin_has_no_file():
    assert refer(len) == FunctionRef(module="builtins", file=None, path=("len",))


def test_a_bound_method_and_a_partial_travel_with_their_data():
    assert resolve(refer(Group(3).bound))([1, 2]) == [3, 6]
    assert resolve(refer(functools.partial(pow, 2)))(5) == 32


def test_a_closure_travels_by_value_where_cloudpickle_is_installed():
    factor = 3
    found = resolve(refer(lambda items: [item * factor for item in items]))
    assert found([1, 2]) == [3, 6]


def test_a_closure_without_cloudpickle_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match=r"top level of a module.*or install cloudpickle"):
        refer(lambda items: items)


def test_what_nothing_can_pickle_is_refused():
    stream = (item for item in ())
    with pytest.raises(ConfigurationError, match="cannot be sent to a worker process"):
        refer(lambda _items: stream)


def test_a_main_module_without_a_file_is_not_looked_up(monkeypatch: pytest.MonkeyPatch):
    main = ModuleType("__main__")
    exec("def typed(items): return items", main.__dict__)  # noqa: S102 - this is what a prompt does
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    # pickle itself finds it here and would not find it in a worker
    with pytest.raises(ConfigurationError, match="install cloudpickle"):
        refer(main.typed)


def test_a_module_loaded_by_path_is_loaded_from_its_file(by_path: ModuleType):
    ref = refer(by_path.create)
    del sys.modules["users_by_path"]
    found = resolve(pickle.loads(pickle.dumps(ref)))  # noqa: S301 - our own
    assert found([1]) == [1]
    assert sys.modules["users_by_path"] is not by_path


def test_a_file_decides_over_a_module_of_the_same_name_on_the_path(tmp_path: Path):
    file = tmp_path / "colorsys.py"
    file.write_text("def create(items):\n    return 'mine'\n")
    known = sys.modules.pop("colorsys", None)
    try:
        assert resolve(FunctionRef(module="colorsys", file=str(file), path=("create",)))([]) == "mine"
    finally:
        sys.modules.pop("colorsys", None)
        if known is not None:
            sys.modules["colorsys"] = known


def test_a_module_that_fails_to_load_is_not_kept(tmp_path: Path):
    file = tmp_path / "broken_users.py"
    file.write_text("raise LookupError('no database')\n")
    with pytest.raises(ConfigurationError, match=r"broken_users\.py: LookupError: no database"):
        resolve(FunctionRef(module="broken_users", file=str(file), path=("create",)))
    assert "broken_users" not in sys.modules


@pytest.mark.parametrize("path", [("missing",), ("__name__",)])
def test_a_path_that_leads_to_no_function_says_so(path: tuple[str, ...]):
    with pytest.raises(ConfigurationError, match=path[0]):
        resolve(FunctionRef(module=__name__, file=__file__, path=path))


def test_the_script_of_another_process_is_loaded_where_another_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "script.py"
    file.write_text(
        "class Reply:\n    pass\n\ndef create(items):\n    return Reply()\n\n"
        "if __name__ == '__main__':\n    raise SystemExit\n"
    )
    for name in ("__main__", "__mp_main__"):  # restored at the end
        monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])
    create = resolve(FunctionRef(module="__main__", file=str(file), path=("create",)))
    assert type(create([])).__module__ == "__mp_main__"
    assert pickle.loads(pickle.dumps(create([]))) is not None  # noqa: S301 - our own
    assert resolve(FunctionRef(module="__main__", file=str(file), path=("create",))) is create


def test_a_script_that_fails_to_load_leaves_the_program_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "script.py"
    file.write_text("raise LookupError('no database')\n")
    program = sys.modules["__main__"]
    for name in ("__main__", "__mp_main__"):
        monkeypatch.setitem(sys.modules, name, program)
    with pytest.raises(ConfigurationError, match=r"script\.py: LookupError: no database"):
        resolve(FunctionRef(module="__main__", file=str(file), path=("create",)))
    assert sys.modules["__main__"] is program
