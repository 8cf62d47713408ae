"""Which clips each run had right, and how sure a difference between two sets of runs on the same clips is."""

import csv
import sys
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple, final

import pandas as pd

from avrobust.evaluation.metrics import mcnemar
from avrobust.types import STANDARD_NAMES as CONDITIONS

LEVEL = 0.05  # a difference with a larger p-value is within noise

Verdict = Literal["holds", "does not hold", "within noise", "not enough data"]
AVERAGE = "average"  # over xA, xV, xAV, of each clip
SUM = "sum"  # clean and that average: what RI is the difference of


Column = dict[str, float]  # of each clip, by its key: 1 or 0, or a sum of such
Columns = dict[str, Column]  # by condition


@final
class Scores:
    """Reads examples.csv files, each once."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._read: dict[str, Columns] = {}

    def of(self, task: str, run_id: str) -> Columns:
        """A run's clips by condition; empty if the file is not there."""
        if run_id not in self._read:
            path = self.runs / task / run_id / "examples.csv"
            self._read[run_id] = _scores(path) if path.is_file() else {}
        return self._read[run_id]


class Side(NamedTuple):
    """One side of a comparison: a model under a condition, over seeds."""

    name: str
    runs: pd.DataFrame  # rows of `collect`, one a seed
    column: str  # a condition, AVERAGE or SUM

    @property
    def mean(self) -> float:
        """In percent; of SUM the sum of two percentages."""
        columns = {AVERAGE: ["average"], SUM: ["clean", "average"]}.get(self.column, [self.column])
        return float(self.runs[columns].sum(axis=1).mean())

    @property
    def run(self) -> str:
        """The id of its first run."""
        return str(self.runs["run_id"].iloc[0])


class Comparison(NamedTuple):
    """Is one side better than the other, as the paper says, on the same clips?"""

    better: Side
    worse: Side
    difference: float  # in points
    gained: int  # clips that speak for the paper's direction
    lost: int
    n: int
    seeds: int
    p: float
    verdict: Verdict


def compare(
    scores: Scores, better: Side, worse: Side, *, or_equal: bool = False
) -> Comparison | None:
    """The sign test over clips, with each clip's mean over the seeds that both have; with one seed, McNemar's.

    Args:
        scores: of the runs.
        better: the side that the paper has above.
        worse: the other one.
        or_equal: the paper's direction includes that both are equal.

    Returns:
        None where the two have no seed or no clip in common.
    """
    changes = [
        _less(_column(scores.of(*mine), better.column), _column(scores.of(*theirs), worse.column))
        for mine, theirs in _pairs(better, worse)
    ]
    common = (
        [key for key in changes[0] if all(key in change for change in changes)] if changes else []
    )
    if not common:
        return None
    each = [round(sum(change[key] for change in changes) / len(changes), 9) for key in common]
    gained, lost = sum(x > 0 for x in each), sum(x < 0 for x in each)
    p, difference = mcnemar(gained, lost), 100 * sum(each) / len(each)
    verdict = _verdict(difference, gained - lost, p)
    if or_equal and gained == lost == 0:
        verdict = "holds"
    return Comparison(better, worse, difference, gained, lost, len(each), len(changes), p, verdict)


def _verdict(difference: float, surplus: int, p: float) -> Verdict:
    if p > LEVEL or difference * surplus <= 0:
        return "within noise"
    return "holds" if difference > 0 else "does not hold"


Run = tuple[str, str]  # task and id


def _pairs(better: Side, worse: Side) -> list[tuple[Run, Run]]:
    """The runs of both sides that have the same seed."""
    mine, theirs = _by_seed(better), _by_seed(worse)
    return [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]


def _by_seed(side: Side) -> dict[int, Run]:
    columns = (side.runs[name].tolist() for name in ("seed", "task", "run_id"))
    return {seed: (task, run) for seed, task, run in zip(*columns, strict=True)}


def _less(mine: Column, theirs: Column) -> Column:
    """The difference of each clip that both have."""
    return {key: value - theirs[key] for key, value in mine.items() if key in theirs}


def _column(columns: Columns, name: str) -> Column:
    """A condition, AVERAGE or SUM; empty where a condition is missing."""
    if name not in (AVERAGE, SUM):
        return columns.get(name, {})
    if not set(CONDITIONS) <= set(columns):
        return {}
    clean, *attacked = (columns[c] for c in CONDITIONS)
    average = {key: sum(of[key] for of in attacked) / len(attacked) for key in clean}
    return (
        average if name == AVERAGE else {key: clean[key] + value for key, value in average.items()}
    )


def _scores(path: Path) -> Columns:
    columns: Columns = {}
    for key, condition, correct in read_examples(path, "key", "condition", "correct"):
        columns.setdefault(condition, {})[sys.intern(key)] = float(
            correct == "True"
        )  # one string for all runs
    return columns


def read_examples(path: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Some columns, two at least, of an examples.csv. On many small files csv is faster than pandas."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        columns = next(rows)
        yield from map(itemgetter(*map(columns.index, names)), rows)


def together(comparisons: Sequence[Comparison], *, missing: bool, anyone: bool = False) -> Verdict:
    """What several comparisons say of one finding.

    Args:
        comparisons: of the finding.
        missing: a run that the finding speaks of is not there.
        anyone: the finding says that it can happen, so one comparison that holds is enough.

    One that decides alone has to do so after Bonferroni's correction for their number.
    """
    sure = [c.verdict for c in comparisons if c.p * len(comparisons) <= LEVEL]
    held = [c.verdict == "holds" for c in comparisons]
    if anyone and "holds" in sure:
        return "holds"
    if not anyone and "does not hold" in sure:
        return "does not hold"
    if missing or not comparisons:
        return "not enough data"
    if anyone:
        return (
            "does not hold"
            if all(c.verdict == "does not hold" for c in comparisons)
            else "within noise"
        )
    return "holds" if all(held) else "within noise"
