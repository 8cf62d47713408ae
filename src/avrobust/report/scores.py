"""Which clips each run had right, and how sure a difference between two sets of runs on the same clips is."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, final

import pandas as pd

from avrobust.metrics import mcnemar
from avrobust.types import CONDITIONS

LEVEL = 0.05  # a difference with a larger p-value is within noise

Verdict = Literal["holds", "does not hold", "within noise", "not enough data"]
AVERAGE = "average"  # over xA, xV, xAV, of each clip
SUM = "sum"  # clean and that average: what RI is the difference of


@final
class Scores:
    """Reads examples.csv files, each once."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._read: dict[str, pd.DataFrame] = {}

    def of(self, task: str, run_id: str) -> pd.DataFrame:
        """For each clip of a run 1 or 0 by condition, and their average and sum; empty if the file is not there."""
        if run_id not in self._read:
            path = self.runs / task / run_id / "examples.csv"
            self._read[run_id] = _scores(path) if path.is_file() else pd.DataFrame()
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


def compare(scores: Scores, better: Side, worse: Side, *, or_equal: bool = False) -> Comparison | None:
    """The sign test over clips, with each clip's mean over the seeds that both have; with one seed, McNemar's.

    Args:
        scores: of the runs.
        better: the side that the paper has above.
        worse: the other one.
        or_equal: the paper's direction includes that both are equal.

    Returns:
        None where the two have no seed or no clip in common.
    """
    change = [
        (_column(scores.of(*mine), better.column) - _column(scores.of(*theirs), worse.column)).dropna()
        for mine, theirs in _pairs(better, worse)
    ]
    common = pd.concat(change, axis=1, join="inner") if change else pd.DataFrame()
    if common.empty:
        return None
    each = common.mean(axis=1).round(9)
    gained, lost = int((each > 0).sum()), int((each < 0).sum())
    p, difference = mcnemar(gained, lost), 100 * float(each.mean())
    verdict = _verdict(difference, gained - lost, p)
    if or_equal and gained == lost == 0:
        verdict = "holds"
    return Comparison(better, worse, difference, gained, lost, len(each), len(change), p, verdict)


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


def _column(table: pd.DataFrame, name: str) -> "pd.Series[float]":
    return table[name] if name in table else pd.Series(dtype=float)


def _scores(path: Path) -> pd.DataFrame:
    columns: dict[str, dict[str, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:  # csv is faster than pandas on many small files
        for row in csv.DictReader(file):
            columns.setdefault(row["condition"], {})[row["key"]] = float(row["correct"] == "True")
    table = pd.DataFrame(columns)
    if set(CONDITIONS) <= set(table):
        table[AVERAGE] = table[list(CONDITIONS[1:])].mean(axis=1)
        table[SUM] = table["clean"] + table[AVERAGE]
    return table


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
        return "does not hold" if all(c.verdict == "does not hold" for c in comparisons) else "within noise"
    return "holds" if all(held) else "within noise"
