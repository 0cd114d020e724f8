"""How a function is named to another process, and found there."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gristmill.batching.executors import by_value
from gristmill.batching.executors.protocol import Function
from gristmill.errors import ConfigurationError

_MAIN = "__main__"
_SCRIPT = "__mp_main__"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRef:
    """Where a function is, so that another process finds it.

    Attributes:
        module: the name of its module.
        file: the file of that module, if it has one; it decides when the
            name alone finds another module or none.
        path: the attributes from the module to the function, through the
            decorators around it: ``("create_users", "func")``.
        pickled: the function itself, where no path leads to it.
    """

    module: str
    file: str | None
    path: tuple[str, ...] = ()
    pickled: bytes | None = None


def refer(function: Function) -> FunctionRef:
    """Return the reference of *function*.

    Raises:
        ConfigurationError: It has no name that another process could find it by, and cannot be pickled.
    """
    module_name = getattr(function, "__module__", None) or type(function).__module__
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if module is None or not _is_reachable(module):
        return FunctionRef(module="builtins", file=None, pickled=_pickle_by_value(function))
    path = _path_to(function, module)
    if path is not None:
        return FunctionRef(module=module_name, file=file, path=path)
    return FunctionRef(module=module_name, file=file, pickled=_pickle(function))


def resolve(ref: FunctionRef) -> Function:
    """Return the function that *ref* names; its module is loaded from its file if its name fails.

    Raises:
        ConfigurationError: It is not there.
    """
    try:
        module = _load(ref.module, ref.file)
        if ref.pickled is not None:
            return pickle.loads(ref.pickled)  # type: ignore[no-any-return]  # noqa: S301 - from our parent process
        found: object = module
        for name in ref.path:
            found = getattr(found, name)
    except Exception as error:
        where = f" of {ref.file}" if ref.file else ""
        raise ConfigurationError(
            f"a worker process cannot find {'.'.join((ref.module, *ref.path))}{where}: "
            f"{type(error).__name__}: {error}; define it at the top level of a module"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"{'.'.join((ref.module, *ref.path))} is not callable in a worker process")
    return found


def _is_reachable(module: ModuleType) -> bool:
    """Tell whether a child process has this module too.

    A ``__main__`` without a file (a prompt, ``-c``) cannot be loaded again,
    and that of a package, folder or archive runs its program when it is.
    """
    if module.__name__ != _MAIN:
        return True
    spec_name = getattr(module.__spec__, "name", "")
    if spec_name == _MAIN or spec_name.endswith(f".{_MAIN}"):
        return False
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_file()


def _path_to(function: Function, module: ModuleType) -> tuple[str, ...] | None:
    qualname = getattr(function, "__qualname__", None)
    if qualname is None or not isinstance(getattr(function, "__self__", module), ModuleType):
        return None  # a bound method needs its object
    found: object = module
    path = tuple(qualname.split("."))
    for name in path:
        found = getattr(found, name, None)
    for steps, layer in _layers(found):
        if layer is function:
            return (*path, *steps)
    # Under another name than its own: ``handler = batch(...)(function)``.
    return next(((name,) for name, value in tuple(vars(module).items()) if value is function), None)


def _layers(found: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield what is under the decorators around *found*, outermost first."""
    steps: tuple[str, ...] = ()
    while found is not None and len(steps) < 20:  # noqa: PLR2004 - a decorator that wraps itself must end too
        yield steps, found
        name = "func" if hasattr(found, "func") else "__wrapped__"
        found = getattr(found, name, None)
        steps = (*steps, name)


def _pickle(function: Function) -> bytes:
    try:
        return pickle.dumps(function, protocol=5)  # a bound method, a partial, an object with __call__
    except Exception:  # noqa: BLE001 - the other way raises its own
        return _pickle_by_value(function)


def _pickle_by_value(function: Function) -> bytes:
    try:
        pickled = by_value.dump(function)
    except Exception as error:
        raise ConfigurationError(f"{_shown(function)} cannot be sent to a worker process: {error}") from error
    if pickled is None:
        raise ConfigurationError(
            f"{_shown(function)} cannot be found by a worker process: define it with `def` at the top level "
            "of a module or of a script file (no lambda, nothing nested), or install cloudpickle"
        )
    return pickled


def _shown(function: Function) -> str:
    module = getattr(function, "__module__", "?")
    return f"{module}.{getattr(function, '__qualname__', repr(function))}"


def _load(name: str, file: str | None) -> ModuleType:
    known = sys.modules.get(name)
    if known is not None and name == _MAIN and file is not None and not _is_of(known, file):
        return _load_script(file)
    if known is not None:
        return known
    if file is None or _finds(name, file):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return importlib.import_module(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_of(module: ModuleType, file: str) -> bool:
    own = getattr(module, "__file__", None)
    return own is not None and Path(own).resolve() == Path(file).resolve()


def _load_script(file: str) -> ModuleType:
    """Load the script that the other process runs, where another program runs here.

    Under the name that multiprocessing gives it, in both processes: what is
    under ``if __name__ == "__main__":`` does not run, and its classes are
    found when they travel.
    """
    loader = importlib.machinery.SourceFileLoader(_SCRIPT, file)
    module = ModuleType(_SCRIPT)
    module.__file__ = file
    before = sys.modules[_MAIN]
    sys.modules[_MAIN] = sys.modules[_SCRIPT] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules[_MAIN] = sys.modules[_SCRIPT] = before
        raise
    return module


def _finds(name: str, file: str) -> bool:
    """Tell whether importing *name* would load *file*."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # the package in front of the last dot is not there
        return False
    return (
        spec is not None and spec.origin is not None and Path(spec.origin).resolve() == Path(file).resolve()
    )
