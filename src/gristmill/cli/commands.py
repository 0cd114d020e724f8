"""The subcommands of ``gristmill``, each loaded when it is called for."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any

try:
    import typer
    from typer.core import TyperGroup
except ModuleNotFoundError as error:
    sys.exit(f"gristmill: the command needs {error.name}: install gristmill[cli]")

_COMMANDS = {
    "serve": "gristmill.cli.serve",
    "work": "gristmill.cli.work",
    "migrate": "gristmill.cli.migrate",
    "run": "gristmill.cli.run",
    "call": "gristmill.cli.call",
    "tune": "gristmill.cli.tune",
    "jobs": "gristmill.cli.jobs.group",
}
"""Name -> module; in it the function of that name, or ``jobs_group``."""

_EXTRAS = {
    "typer": "cli",
    "rich": "cli",
    "uvicorn": "http",
    "starlette": "http",
}
"""Package -> the extra of Gristmill that brings it."""

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class Commands(TyperGroup):
    """Knows the names of all commands, and loads the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's interface
        """Return the names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        """Return the command of that name; None if there is none."""
        return _load(cmd_name) if cmd_name in _COMMANDS else None


def _load(name: str) -> Any:
    try:
        module = importlib.import_module(_COMMANDS[name])
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        sys.exit(f"gristmill: {name} needs {error.name}: install gristmill[{extra}]")
    if name == "jobs":
        return typer.main.get_command(module.jobs_group())
    one = typer.Typer(**_SETTINGS)
    one.command(name)(getattr(module, name))
    return typer.main.get_command(one)


app = typer.Typer(
    name="gristmill",
    cls=Commands,
    help="Batch handlers: write one, and every way in reaches it.",
    no_args_is_help=True,
    **_SETTINGS,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes by position
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - takes long to load, for a rare question

        typer.echo(f"gristmill {version('gristmill')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Batch handlers: write one, and every way in reaches it."""
