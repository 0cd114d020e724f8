from __future__ import annotations

import json
from typing import Any

import pytest


def test_outcomes_are_lines_in_the_order_of_settling(shop: Any) -> None:
    job = shop.done(["a", "x", "b"])
    result = shop.run("results", job)
    assert result.stdout.splitlines() == [
        '0  succeeded  "a"',
        '2  succeeded  "b"',
        "1  failed     bad: no ?[31mx",
    ]
    assert result.stderr.startswith("What comes later: --after ")


def test_ordered_outcomes_are_in_the_order_of_the_items(shop: Any) -> None:
    result = shop.run("results", shop.done(["a", "x", "b"]), "--ordered")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["0", "1", "2"]
    assert result.stderr == "What comes later: --after i3\n"


def test_a_long_value_is_cut_on_the_screen_and_whole_as_json(shop: Any) -> None:
    job = shop.done(["a" * 200])
    (line,) = shop.run("results", job).stdout.splitlines()
    assert len(line) == 80
    assert line.endswith("…")
    (document,) = shop.run("results", job, "--json").stdout.splitlines()
    assert json.loads(document)["value"] == "a" * 200


def test_json_is_one_object_a_line_and_goes_on_after_a_cursor(shop: Any) -> None:
    job = shop.done(["a", "b", "x"])
    found = [json.loads(line) for line in shop.run("results", job, "--json").stdout.splitlines()]
    assert [set(each) for each in found] == [
        {"place", "kind", "value", "cursor"},
        {"place", "kind", "value", "cursor"},
        {"place", "kind", "failure", "cursor"},
    ]
    assert found[2]["failure"] == {"code": "bad", "message": "no \x1b[31mx", "attempts": 1}
    rest = shop.run("results", job, "--json", "--after", found[0]["cursor"]).stdout.splitlines()
    assert [json.loads(line) for line in rest] == found[1:]


def test_a_status_chooses_outcomes(shop: Any) -> None:
    job = shop.done(["a", "x"])
    assert shop.run("results", job, "--status", "failed").stdout.startswith("1  failed")
    assert shop.run("results", job, "--status", "nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [(("--status", "failed"), "of every kind"), (("--after", "1.1"), "no cursor of ordered results")],
)
@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_ordered_outcomes_are_of_every_kind_and_have_cursors_of_their_own(
    shop: Any, words: tuple[str, str], text: str, follow: tuple[str, ...]
) -> None:
    result = shop.run("results", shop.done(["a"]), "--ordered", *words, *follow)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in " ".join(result.stderr.split())


def test_following_a_final_job_ends(shop: Any) -> None:
    assert shop.run("results", shop.done(["a"]), "--follow").stdout == '0  succeeded  "a"\n'


def test_a_cursor_that_is_none_and_a_job_that_is_not_there_are_told(shop: Any) -> None:
    result = shop.run("results", shop.done(["a"]), "--after", "nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no cursor" in result.stderr
    assert shop.run("results", "job_nope").exit_code == 1
