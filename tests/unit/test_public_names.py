"""The public names are there when they are asked for, and load nothing before."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gristmill
from gristmill.batching.decorator import batch
from gristmill.model.outcome import Failed

_TELL = "import sys; print(' '.join(name for name in ('asyncio', 'typer', 'pyarrow') if name in sys.modules))"


def loaded(module: str) -> str:
    """Return which of some large modules a process has that imported *module* and nothing else."""
    told = subprocess.run(
        [sys.executable, "-c", f"import {module}; {_TELL}"], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def test_all_names_are_there() -> None:
    found = {name: getattr(gristmill, name) for name in gristmill.__all__}

    assert found["batch"] is batch
    assert found["Failed"] is Failed
    assert {name for name, value in found.items() if value is not getattr(gristmill, name)} == set()
    assert set(gristmill.__all__) <= set(dir(gristmill))


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'bach'"):
        gristmill.bach  # noqa: B018 - it is what raises


@pytest.mark.parametrize("module", ["gristmill", "gristmill.cli.main"])
def test_a_command_that_begins_has_loaded_nothing_large(module: str) -> None:
    """The process that workers are forked from is started before what the command itself needs is loaded."""
    assert loaded(module) == ""


def test_who_asks_for_a_name_loads_what_it_needs() -> None:
    assert loaded("gristmill.batching.handler") == "asyncio"


def test_errors_are_at_hand() -> None:
    code = "import gristmill; print(gristmill.errors.QueueFull.__name__)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "QueueFull\n"
