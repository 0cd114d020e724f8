"""``module:attribute`` or ``file.py:attribute``: from what the user typed to the App it means."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

from gristmill.batching.handler import BatchHandler
from gristmill.errors import ConfigurationError

if TYPE_CHECKING:
    from gristmill.app import App  # brings the web, which a command that serves nothing does without

DEFAULT_ATTRIBUTE = "app"


class TargetBroken(ConfigurationError):
    """The target was found, and raised when it was imported; ``__cause__`` is what it raised."""


def load_app(target: str) -> App:
    """Return the App that *target* names; a batch handler is wrapped in one.

    Args:
        target: ``module:attribute`` with the working directory importable, or
            ``path/file.py:attribute`` with the file's own. The attribute may be
            dotted; without one it is ``app``.

    Raises:
        ConfigurationError: There is no such module, file or attribute, or it is no App.
        TargetBroken: Its own code failed.
    """
    place, attribute, module = _imported(target)
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ConfigurationError(f"{place} has no {attribute!r}; {_hint(place, module)}") from error
    if isinstance(found, BatchHandler):
        from gristmill.app import App  # noqa: PLC0415 - as above

        return App(handlers=[found])
    if not _is_app(found):
        kind = _article(type(found).__name__)
        raise ConfigurationError(f"{target} is {kind}, no App and no batch handler; {_hint(place, module)}")
    return found


def load_handler(target: str) -> BatchHandler[Any, Any]:
    """Return the batch handler that *target* names.

    Args:
        target: As for ``load_app``. Of an App its only handler is taken, or the
            one whose name follows: ``module:app.users``.

    Raises:
        ConfigurationError: There is no such handler, or the App has several; the message names them.
        TargetBroken: Its own code failed.
    """
    place, attribute, module = _imported(target)
    found: Any = module
    walked: list[str] = []
    for name in attribute.split("."):
        of_app = _handlers(found).get(name) if _is_app(found) else None
        try:
            found = of_app or getattr(found, name)
        except AttributeError as error:
            hint = _app_hint(place, walked, found) if _is_app(found) else _hint(place, module)
            raise ConfigurationError(f"{place} has no {attribute!r}; {hint}") from error
        walked.append(name)
    if _is_app(found):
        handlers = list(_handlers(found).values())
        if len(handlers) != 1:
            held = "several handlers" if handlers else "no handler"
            raise ConfigurationError(f"{place}:{attribute} has {held}; {_app_hint(place, walked, found)}")
        return handlers[0]
    if not isinstance(found, BatchHandler):
        kind = _article(type(found).__name__)
        raise ConfigurationError(f"{target} is {kind}, no batch handler and no App; {_hint(place, module)}")
    return found


def _imported(target: str) -> tuple[str, str, ModuleType]:
    """Return the place and the attribute that *target* names, and the module at that place."""
    place, _, attribute = target.partition(":") if not _is_file(target) else (target, "", "")
    module = _import_file(Path(place)) if _is_file(place) else _import_module(place)
    return place, attribute or DEFAULT_ATTRIBUTE, module


def _is_app(found: object) -> TypeGuard[App]:
    """Tell whether *found* is an App: only a program that has loaded the class can have one."""
    module = sys.modules.get("gristmill.app")
    return module is not None and isinstance(found, module.App)


def _handlers(app: App) -> dict[str, BatchHandler[Any, Any]]:
    return {handler.name: handler for handler in app.handlers}


def _app_hint(place: str, walked: list[str], app: App) -> str:
    names = list(_handlers(app))
    if not names:
        return "write App(handlers=[...])"
    return "try " + " or ".join(f"{place}:{'.'.join([*walked, name])}" for name in names)


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _import_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{name!r} is no module name and no .py file; write module:app or path/file.py:app"
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise ConfigurationError(
                f"there is no module {error.name!r} in {Path.cwd()} or among the installed ones"
            ) from error
        raise TargetBroken(_told(name, error)) from error
    except ConfigurationError:
        raise
    except Exception as error:
        raise TargetBroken(_told(name, error)) from error


def _import_file(path: Path) -> ModuleType:
    """Import *path* under its own name, so that worker processes can import it too."""
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    name = path.stem
    if name in sys.modules:
        raise ConfigurationError(f"{path} has the name of a module that is in use already; rename the file")
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ConfigurationError:
        raise
    except Exception as error:
        raise TargetBroken(_told(str(path), error)) from error
    return module


def _told(place: str, error: Exception) -> str:
    return f"importing {place} failed: {type(error).__name__}: {error}"


def _hint(place: str, module: ModuleType) -> str:
    names = list(_candidates(module))
    if not names:
        return "it has no App and no batch handler at its top level"
    return "try " + " or ".join(f"{place}:{name}" for name in names)


def _candidates(module: ModuleType) -> Iterator[str]:
    """Yield the names at the top of *module* that can be served, Apps first."""
    own = vars(module).items()
    yield from (name for name, value in own if _is_app(value))
    yield from (name for name, value in own if isinstance(value, BatchHandler))


def _article(word: str) -> str:
    return ("an " if word[:1].lower() in "aeiou" else "a ") + word
