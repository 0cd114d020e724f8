"""Interleaved passes, medians, ratios within a pass, and verdicts against targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long and how often to measure."""

    passes: int = 5
    seconds: float = 2.0
    quick: bool = False
    peers: frozenset[str] | None = None
    rows: int | None = None
    """Rows of the input of the stream benchmarks; None: as many as each asks for."""

    @property
    def warm_up(self) -> float:
        """Seconds of load before a server is measured: compilers and caches get their time."""
        return 0.5 if self.quick else 1.5

    def wants(self, peer: str) -> bool:
        return self.peers is None or peer in self.peers


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the lowest and the highest pass."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.lowest:{spec}}-{self.highest:{spec}})"


Sample = Mapping[str, float]
Passes = dict[str, list[Sample]]


def interleave(subjects: Mapping[str, Callable[[], Sample]], passes: int) -> Passes:
    """Measure every subject once a pass, in an order that turns by one from pass to pass.

    Drift of the machine so hits all subjects alike, and a ratio may be taken within each pass.
    """
    names = list(subjects)
    taken: Passes = {name: [] for name in names}
    for turn in range(passes):
        start = turn % len(names) if names else 0
        for name in names[start:] + names[:start]:
            taken[name].append(subjects[name]())
    return taken


def spread(taken: Passes, name: str, quantity: str) -> Spread:
    return Spread.of([sample[quantity] for sample in taken[name]])


def ratio(taken: Passes, ours: str, peer: str, quantity: str) -> Spread | None:
    """Ours / peer of `quantity` within each pass; None when either was not measured."""
    if ours not in taken or peer not in taken:
        return None
    pairs = zip(taken[ours], taken[peer], strict=True)
    return Spread.of([mine[quantity] / theirs[quantity] for mine, theirs in pairs])


def difference(taken: Passes, ours: str, peer: str, quantity: str) -> Spread | None:
    """Ours - peer of `quantity` within each pass; None when either was not measured."""
    if ours not in taken or peer not in taken:
        return None
    pairs = zip(taken[ours], taken[peer], strict=True)
    return Spread.of([mine[quantity] - theirs[quantity] for mine, theirs in pairs])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One target and what was measured for it.

    `met`: the median is on the right side. `inside the spread`: the median is not, at least one
    pass is. `missed`: no pass is.
    """

    target: str
    measured: Spread
    bound: float
    at_least: bool = False
    unit: str = "x"

    def _reaches(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def verdict(self) -> str:
        if self._reaches(self.measured.median):
            return "met"
        best = self.measured.highest if self.at_least else self.measured.lowest
        return "inside the spread" if self._reaches(best) else "missed"

    def __str__(self) -> str:
        worst = self.measured.lowest if self.at_least else self.measured.highest
        every = ", in every pass" if self._reaches(worst) else ""
        wanted = f"{'at least' if self.at_least else 'at most'} {self.bound:g} {self.unit}"
        return f"{self.verdict}{every}: {self.target}: {self.measured:.2f} {self.unit}, wanted {wanted}"


@dataclass(slots=True)
class Report:
    """What one benchmark found: a table, remarks and verdicts."""

    title: str
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    samples: dict[str, Passes] = field(default_factory=dict)

    def judge(
        self, target: str, measured: Spread | None, bound: float, *, at_least: bool = False, unit: str = "x"
    ) -> None:
        """Add a verdict; a ratio whose peer was not measured is left out."""
        if measured is not None:
            self.verdicts.append(
                Verdict(target=target, measured=measured, bound=bound, at_least=at_least, unit=unit)
            )

    def lines(self) -> Iterator[str]:
        yield f"== {self.title}"
        if self.rows:
            table = [self.columns, *self.rows]
            widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
            for row in table:
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                yield "  " + "  ".join(cells).rstrip()
        for remark in self.remarks:
            yield f"  - {remark}"
        for verdict in self.verdicts:
            yield f"  {verdict}"

    def plain(self) -> dict[str, Any]:
        """The report as JSON-ready data, every sample of every pass included."""
        return {
            "title": self.title,
            "remarks": self.remarks,
            "verdicts": [
                {
                    "target": verdict.target,
                    "verdict": verdict.verdict,
                    "median": verdict.measured.median,
                    "lowest": verdict.measured.lowest,
                    "highest": verdict.measured.highest,
                    "bound": verdict.bound,
                    "at_least": verdict.at_least,
                    "unit": verdict.unit,
                }
                for verdict in self.verdicts
            ],
            "samples": {
                section: {name: [dict(sample) for sample in passes] for name, passes in taken.items()}
                for section, taken in self.samples.items()
            },
        }
