"""docs/tune.md names only what the command takes."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from gristmill.cli.commands import app

TEXT = (Path(__file__).parents[2] / "docs" / "tune.md").read_text()


def options() -> set[str]:
    parameters = get_command(app).get_command(None, "tune").params  # type: ignore[attr-defined]  # a group
    return {option for parameter in parameters for option in parameter.opts}


def test_options_that_are_named_are_there() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", TEXT))
    assert named <= options()
    assert {"--limit", "--sizes", "--seconds", "--efficiency", "--target-latency"} <= named
