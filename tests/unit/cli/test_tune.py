from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from gristmill.cli import tune as command_module
from gristmill.cli.commands import app as command
from gristmill.tuning.measuring import measure

HANDLERS = """
from gristmill import App, Failed, batch

now = 0.0

@batch(name="mail")
async def send(items: list[int]) -> list[int | Failed]:
    global now
    now += 0.005 + 0.00002 * len(items)
    return [Failed("odd") if item % 1000 == 999 else item for item in items]

@batch
async def breaks(items: list[int]) -> list[int]:
    raise ValueError("no such table")

@batch
def leaves(items: list[int]) -> list[int]:
    raise SystemExit("no licence")

app = App(handlers=[send, breaks], store=None)
"""

Tune = Callable[..., Result]


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tune:
    """Run ``gristmill tune`` in a folder with handlers, a sample, and a clock that only handlers move."""
    (tmp_path / "tuned_once.py").write_text(HANDLERS)
    (tmp_path / "sample.ndjson").write_text("\n".join(map(str, range(5000))))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "tuned_once", None)  # so that the undo removes it
    monkeypatch.delitem(sys.modules, "tuned_once")
    clock = lambda: sys.modules["tuned_once"].now  # noqa: E731 - read when it is asked
    monkeypatch.setattr(command_module, "measure", partial(measure, clock=clock))

    def run(*words: str, target: str = "tuned_once:send") -> Result:
        runner = CliRunner(env={"COLUMNS": "80"})
        return runner.invoke(command, ["tune", target, "sample.ndjson", *words])

    return run


def test_a_handler_of_known_cost_gets_the_size_that_its_cost_asks_for(tune: Tune) -> None:
    result = tune()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "A batch costs 5.00 ms and each item 20.0 µs more" in result.stdout
    assert "Recommended: max_size=2300\nAt 2,300 items the fixed 5.00 ms is 9.8 %" in result.stdout
    assert "mail: 360 batches of 12 sizes" in result.stdout
    assert "failed (failed)" in result.stdout


@pytest.mark.parametrize("target", ["tuned_once:send", "tuned_once.py:send", "tuned_once:app.mail"])
def test_the_handler_may_be_named_as_a_file_and_through_its_app(tune: Tune, target: str) -> None:
    assert tune("--repeats", "1", target=target).exit_code == 0


def test_json_is_one_document(tune: Tune) -> None:
    result = tune("--json", "--sizes", "1,10,1000", "--repeats", "3")
    document = json.loads(result.stdout)
    assert document["handler"] == "mail"
    assert document["recommended"]["size"] == 1000
    assert document["recommended"]["bound"] == "largest_measured"
    assert document["recommended"]["items_per_second"] == pytest.approx(40_000)
    assert document["fixed_cost_s"] == pytest.approx(0.005)
    assert document["item_cost_s"] == pytest.approx(0.00002)
    assert [(each["size"], each["runs"]) for each in document["sizes"]] == [(1, 3), (10, 3), (1000, 3)]
    assert document["sizes"][2]["batch_s"]["p50"] == pytest.approx(0.025)
    assert document["cliff"] is None
    assert set(document["failures"]) == {"failed"}


def test_efficiency_and_target_latency_move_the_size(tune: Tune) -> None:
    assert json.loads(tune("--json", "--efficiency", "0.5").stdout)["recommended"]["size"] == 250
    bounded = json.loads(tune("--json", "--target-latency", "0.025").stdout)["recommended"]
    assert (bounded["size"], bounded["bound"]) == (1000, "target_latency")


def test_the_budget_and_the_largest_size_hold(tune: Tune) -> None:
    document = json.loads(tune("--json", "--seconds", "0.5").stdout)
    assert document["elapsed_s"] <= 0.5
    assert document["left_out"]
    assert "No time for batches" in document["notes"][-1]
    beyond = json.loads(tune("--json", "--max-size", "20000", "--limit", "100").stdout)
    assert beyond["sizes"][-1]["size"] == 20_000
    assert "The sample has 100 rows" in beyond["notes"][-1]


def test_a_picture_is_drawn_beside_the_table(tune: Tune) -> None:
    result = tune("-o", "curve.svg")
    assert result.stdout.endswith("The curves are in curve.svg.\n")
    assert ET.parse("curve.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file
    assert json.loads(tune("-o", "curve.png", "--json").stdout)["handler"] == "mail"
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_handler_that_raises_is_shown_and_fails_the_command(tune: Tune) -> None:
    result = tune(target="tuned_once:breaks")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert (
        "gristmill: error: a batch of 1 item failed: breaks raised ValueError: no such table" in result.stderr
    )


def test_a_handler_that_calls_exit_fails_the_command_with_a_word(tune: Tune) -> None:
    result = tune(target="tuned_once:leaves")
    assert result.exit_code == 1
    assert result.stderr == "gristmill: error: a batch failed: the handler called sys.exit('no licence')\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "1,x"], "--sizes are whole numbers as in 1,10,100, got '1,x'"),
        (["--sizes", "7"], "2 or more numbers"),
        (["--sizes", "1,2", "--max-size", "5"], "not both"),
        (["--limit", "1"], "the sample has one row"),
        (["--efficiency", "1.5"], "efficiency must be between 0 and 1"),
        (["--target-latency", "0"], "target_latency must be seconds above 0"),
        (["--seconds", "0"], "seconds above 0"),
        (["--seconds", "0.01"], "too slow to measure two sizes"),
        (["-o", "curve.gif"], ".png or .svg"),
        (["--input-format", "csv"], "names the columns|give single values as NDJSON"),
    ],
)
def test_what_cannot_be_is_said_on_one_line(tune: Tune, words: list[str], message: str) -> None:
    result = tune(*words)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert result.stderr.startswith("gristmill: error: ")
    assert result.stderr.count("\n") == 1


def test_an_app_of_several_handlers_is_asked_which(tune: Tune) -> None:
    result = tune(target="tuned_once")
    assert result.exit_code == 2
    assert "try tuned_once:app.mail or tuned_once:app.breaks" in result.stderr


def test_the_picture_is_refused_before_the_handler_runs(tune: Tune) -> None:
    tune("-o", "nowhere/curve.svg")
    assert "tuned_once" not in sys.modules
