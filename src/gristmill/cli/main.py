"""``gristmill``: the command and its subcommands."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

try:
    import typer

    from gristmill.cli.call import call
    from gristmill.cli.jobs.group import jobs_group
    from gristmill.cli.migrate import migrate
    from gristmill.cli.run import run
    from gristmill.cli.serve import serve
    from gristmill.cli.tune import tune
    from gristmill.cli.work import work
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("typer", "rich", "uvicorn", "starlette"):
        raise
    sys.exit(f"gristmill: the command needs {error.name}: install gristmill[cli,http]")

app = typer.Typer(
    name="gristmill",
    help="Batch handlers: write one, and every way in reaches it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(work)
app.command()(migrate)
app.command()(run)
app.command()(call)
app.command()(tune)
app.add_typer(jobs_group())


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes by position
    if wanted:
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


def main() -> None:
    """Run the command."""
    app()
