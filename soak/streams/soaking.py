"""Kills of one kind of output: inputs, runs, and what must be there at the end."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from soak.streams.killing import Killer, unbroken
from soak.streams.kinds import Kind, Row, Way, sql

_MILL = str(Path(__file__).with_name("mill.py"))


@dataclass(slots=True, kw_only=True)
class StreamReport:
    """What came out of the kills of one kind.

    Attributes:
        kind: Its name.
        seed: Of all chance.
        kills: ``driver``, ``all`` or ``worker`` -> SIGKILLs.
        starts: Commands that were started.
        runs: Runs that came to their end and were checked.
        violations: What was wrong, with the way and the place where it can be looked at.
    """

    kind: str
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    runs: int = 0
    violations: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return what people read."""
        kills = self.kills
        first = (
            f"{self.kind}, seed {self.seed}: {kills['driver'] + kills['all']} kills of the driver, "
            f"{kills['all']} of them with all its workers, and {kills['worker']} of one worker; "
            f"{self.starts} starts, {self.runs} runs, {len(self.violations)} violations"
        )
        return "\n".join([first, *(f"    {each}" for each in self.violations)])


@dataclass(slots=True)
class _Unbroken:
    """A run nobody killed."""

    seconds: float
    content: Any
    letters: bytes


class StreamSoak:
    """Kills runs into outputs of one kind.

    Args:
        kind: Of the output.
        folder: Of all that is made; empty.
        seed: Of all chance.
        rows: Of the input.
        url: Of the database, where the output is one.
    """

    def __init__(self, kind: Kind, folder: Path, *, seed: int, rows: int, url: str = "") -> None:
        self._kind = kind
        self._folder = folder
        self._chance = random.Random(f"{seed}/{kind.name}")
        self._rows = rows
        self._url = url
        self._tables = 0
        self._known: dict[Way, _Unbroken] = {}
        self.report = StreamReport(kind=kind.name, seed=seed)

    def run(self, kills: int) -> StreamReport:
        """Kill drivers *kills* times, in as many runs as that takes, the ways one after the other."""
        report = self.report
        while report.kills["driver"] + report.kills["all"] < kills and not report.violations:
            way = self._kind.ways[report.runs % len(self._kind.ways)]
            folder = self._folder / f"run-{report.runs}"
            try:
                self._round(way, folder, kills - report.kills["driver"] - report.kills["all"])
            except AssertionError as error:
                report.violations.append(f"{way}, {folder}: {error}")
            report.runs += 1
        return report

    def _round(self, way: Way, folder: Path, kills: int) -> None:
        known = self._known.get(way) or self._unbroken(way)
        self._known[way] = known
        output = self._begin(folder, way)
        killer = Killer(folder, lambda: self._words(way, output), self._chance, known.seconds)
        try:
            killer.until_done(kills)
        finally:
            self.report.kills += killer.kills
            self.report.starts += killer.starts
        self._check(way, folder, output, known)

    def _unbroken(self, way: Way) -> _Unbroken:
        folder = self._folder / f"unbroken-{len(self._known)}"
        output = self._begin(folder, way)
        seconds = unbroken(folder, self._words(way, output))
        content = self._kind.content(self._place(folder, output))
        return _Unbroken(seconds, content, self._letters(folder).read_bytes())

    def _begin(self, folder: Path, way: Way) -> str:
        """Make a folder with the input, and the table if it needs one; return what follows ``-o``."""
        folder.mkdir()
        make_input(folder / way.source, self._rows)
        if not self._kind.is_database:
            return self._kind.output
        self._tables += 1
        columns = "id bigint PRIMARY KEY, text text NOT NULL, double bigint NOT NULL"
        sql(self._url, f"CREATE TABLE t{self._tables} ({columns})")
        return f"{self._url}#t{self._tables}"

    def _words(self, way: Way, output: str) -> list[str]:
        """Return the command's words; what may change between the parts of a run does."""
        order = "--ordered" if way.is_ordered else "--unordered"
        return [
            *(f"{_MILL}:{way.handler}", way.source, "-o", output, *self._kind.words, order),
            *("--dead-letter", str(self._letters(Path()))),
            *("--workers", str(self._chance.choice((0, 1, 2, 2)))),
            *("--chunk-bytes", str(self._chance.choice((2048, 4096, 16384)))),
            *("--commit-seconds", str(self._chance.choice((0.0, 0.02, 0.1)))),
        ]

    def _letters(self, folder: Path) -> Path:
        return folder / "dead.ndjson"

    def _place(self, folder: Path, output: str) -> str:
        return output if self._kind.is_database else str(folder / output)

    def _check(self, way: Way, folder: Path, output: str, known: _Unbroken) -> None:
        content = self._kind.content(self._place(folder, output))
        found = self._kind.rows(content)
        expect([(n, text_of(n), 2 * n) for n in range(self._rows) if way.passes(n)], found, way)
        letters = self._letters(folder).read_bytes()
        check_letters(letters, folder / way.source, [n for n in range(self._rows) if not way.passes(n)], way)
        if way.is_ordered and (content != known.content or letters != known.letters):
            what = "dead letters are" if content == known.content else "output is"
            raise AssertionError(f"the {what} another than that of a run nobody killed")
        partials = [str(each) for each in folder.rglob("*.partial")]
        if partials:
            raise AssertionError(f"{partials} are left")


def expect(expected: list[Row], found: list[Row], way: Way) -> None:
    """Raise unless *found* is what was *expected*, in order if the way keeps it."""
    if found == expected or (not way.is_ordered and sorted(found) == expected):
        return
    counts = Counter(found)
    lost = [row for row in expected if not counts[row]]
    doubled = [row for row, count in counts.items() if count > 1]
    raise AssertionError(
        f"{len(lost)} rows lost, as {lost[:3]}; {len(doubled)} doubled, as {doubled[:3]}; "
        f"{len(found)} for {len(expected)}"
    )


def check_letters(content: bytes, source: Path, expected: list[int], way: Way) -> None:
    """Raise unless there is one letter for each row *expected*, which names its bytes in *source*."""
    letters = [json.loads(line) for line in content.splitlines()]
    ids = [int(each["item"]["id"]) for each in letters]
    if (ids if way.is_ordered else sorted(ids)) != expected:
        raise AssertionError(f"dead letters are of {len(ids)} rows, not the {len(expected)} that failed")
    text = source.read_bytes() if source.suffix in (".csv", ".ndjson") else b""
    for letter, number in zip(letters, ids, strict=True):
        if way.is_ordered and letter["row"] != number + 1:
            raise AssertionError(f"row {number + 1} is called row {letter['row']}")
        place = text[letter["start"] : letter["end"]]
        if text and "dead" not in source.name and not place.startswith(_BEGINS[source.suffix](number)):
            raise AssertionError(f"row {number + 1} is said to be where {place!r} is")


_BEGINS: dict[str, Callable[[int], bytes]] = {
    ".csv": lambda number: b"%d," % number,
    ".ndjson": lambda number: b'{"id":%d,' % number,
}


def text_of(number: int) -> str:
    """Return the text of a row."""
    return f'said "{number}",\nand left' if number % 7 == 0 else f"row {number}"


def make_input(path: Path, rows: int) -> None:
    """Write an input of ids and texts; the suffix says how."""
    items = [{"id": number, "text": text_of(number)} for number in range(rows)]
    if path.name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(items), path, row_group_size=1000)
    elif path.name.endswith(".dead.ndjson"):
        make_input(path.with_name("first.csv"), rows)
        words = [f"{_MILL}:none", "first.csv", "-o", "first.ndjson", "--dead-letter", path.name]
        unbroken(path.parent, [*words, "--workers", "0"])
    elif path.name.endswith(".ndjson"):
        path.write_text("".join(json.dumps(item, separators=(",", ":")) + "\n" for item in items))
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["id", "text"])
        writer.writeheader()
        writer.writerows(items)
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
