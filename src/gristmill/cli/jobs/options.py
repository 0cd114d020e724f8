"""Options that the commands of ``gristmill jobs`` share: where the jobs are, which, and how to print them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

App: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--app",
        envvar="GRISTMILL_APP",
        metavar="TARGET",
        help="The App whose jobs they are: module:app or path/file.py:app.",
    ),
]
Store: TypeAlias = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The store itself, instead of an App's: sqlite:///file, ..."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
JobId: TypeAlias = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
HandlerName: TypeAlias = Annotated[str, typer.Argument(metavar="HANDLER", help="The handler's name.")]
OfHandler: TypeAlias = Annotated[str | None, typer.Option("--handler", help="Only of this handler.")]
OfJob: TypeAlias = Annotated[str | None, typer.Option("--job", help="Only of this job.")]
OfCode: TypeAlias = Annotated[str | None, typer.Option("--code", help="Only those that died of this code.")]
