"""Which clips each run recognizes, and how sure the difference of two sets of runs is.

Both sets are scored on the same clips.
"""

import sys
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple, final

from avrobust.evaluation.metrics import mcnemar
from avrobust.experiments.kept_clips import RECORDS_FILE, read_columns
from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import RunEntry

LEVEL = 0.05  # a difference with a larger p-value is within noise

FindingVerdict = Literal["holds", "does not hold", "within noise", "not enough data"]
ClipScores = dict[str, float]  # of each clip, by its key: 1 or 0, or a sum of such


class ClipMeasure(NamedTuple):
    """What is compared of a run: an accuracy, or a sum of accuracies."""

    title: str
    condition: str | None = None  # one condition
    average: bool = False  # the mean over the attacks
    clean: bool = False  # the clean accuracy

    def value(self, result: EvaluationResult) -> float:
        """In percent; of a sum the sum of percentages."""
        total = 0.0
        if self.condition is not None:
            total += result.accuracy[self.condition]
        if self.average:
            total += result.average
        if self.clean:
            total += result.clean.accuracy.percent
        return total


CLEAN = ClipMeasure("clean", clean=True)
AVERAGE = ClipMeasure("Avg", average=True)
CLEAN_AND_AVERAGE = ClipMeasure(
    "clean + Avg", average=True, clean=True
)  # what RI is the difference of


class Side(NamedTuple):
    """One side of a comparison: a model under an attack, over seeds."""

    name: str
    entries: tuple[RunEntry, ...]  # one a seed
    measure: ClipMeasure

    @property
    def mean(self) -> float:
        """Over seeds, in percent; of a sum the sum of percentages."""
        return fmean([self.measure.value(entry.result) for entry in self.entries])

    @property
    def run(self) -> str:
        """The id of the first run."""
        return self.entries[0].run_id


class PairedTest(NamedTuple):
    """Is one side better than the other, as the paper says, on the same clips?"""

    better: Side
    worse: Side
    difference: float  # in points
    gained: int  # clips that speak for the paper's direction
    lost: int
    n: int
    seeds: int
    p: float
    verdict: FindingVerdict


@final
class Scores:
    """Reads the examples.csv of runs, each once."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, ClipScores]] = {}

    def by_condition(self, entry: RunEntry) -> dict[str, ClipScores]:
        """Whether each clip is recognized, by condition; empty if the run's file is not there."""
        if entry.run_id not in self._read:
            self._read[entry.run_id] = _read_scores(entry)
        return self._read[entry.run_id]

    def of(self, entry: RunEntry, measure: ClipMeasure) -> ClipScores:
        """The score of each clip by one measure; empty where a condition is missing."""
        scores = self.by_condition(entry)
        parts: list[tuple[ClipScores, float]] = []  # scores and their weights
        if measure.condition is not None:
            parts.append((scores.get(measure.condition, {}), 1.0))
        if measure.clean:
            parts.append((scores.get(entry.result.clean.name, {}), 1.0))
        if measure.average:
            attacked = entry.result.attacked
            for condition in attacked:
                parts.append((scores.get(condition.name, {}), 1 / len(attacked)))
        return _weighted_sum(parts)


def paired_test(
    scores: Scores, better: Side, worse: Side, *, or_equal: bool = False
) -> PairedTest | None:
    """The sign test over clips; with one seed it is McNemar's.

    It takes each clip's mean over the seeds that both sides have.

    Args:
        scores: of the runs.
        better: the side that the paper has above.
        worse: the other one.
        or_equal: the paper's direction includes that both are equal.

    Returns:
        None where the two have no seed or no clip in common.
    """
    changes = []
    for ours, theirs in _same_seed(better, worse):
        changes.append(
            _difference(scores.of(ours, better.measure), scores.of(theirs, worse.measure))
        )
    if not changes:
        return None
    common = [key for key in changes[0] if all(key in change for change in changes)]
    if not common:
        return None
    means = [round(fmean([change[key] for change in changes]), 9) for key in common]
    gained = sum(mean > 0 for mean in means)
    lost = sum(mean < 0 for mean in means)
    p, difference = mcnemar(gained, lost), 100 * fmean(means)
    verdict = _verdict(difference, gained - lost, p)
    if or_equal and gained == lost == 0:
        verdict = "holds"
    seeds = len(changes)
    return PairedTest(better, worse, difference, gained, lost, len(means), seeds, p, verdict)


def verdict_of_all(
    comparisons: Sequence[PairedTest], *, missing: bool, one_is_enough: bool = False
) -> FindingVerdict:
    """What several comparisons say of one finding.

    A comparison that decides alone has to do so after Bonferroni's correction for their number.

    Args:
        comparisons: of the finding.
        missing: a run that the finding speaks of is not there.
        one_is_enough: the finding says that something can happen, so that one comparison that holds
            is enough.
    """
    sure = {one.verdict for one in comparisons if one.p * len(comparisons) <= LEVEL}
    if one_is_enough and "holds" in sure:
        return "holds"
    if not one_is_enough and "does not hold" in sure:
        return "does not hold"
    if missing or not comparisons:
        return "not enough data"
    wanted: FindingVerdict = "does not hold" if one_is_enough else "holds"
    return wanted if all(one.verdict == wanted for one in comparisons) else "within noise"


def _verdict(difference: float, surplus: int, p: float) -> FindingVerdict:
    if p > LEVEL or difference * surplus <= 0:
        return "within noise"
    return "holds" if difference > 0 else "does not hold"


def _same_seed(better: Side, worse: Side) -> list[tuple[RunEntry, RunEntry]]:
    """The runs of both sides that have the same seed."""
    theirs = {entry.seed: entry for entry in worse.entries}
    pairs = []
    for entry in better.entries:
        if entry.seed in theirs:
            pairs.append((entry, theirs[entry.seed]))
    return pairs


def _difference(ours: ClipScores, theirs: ClipScores) -> ClipScores:
    """Of each clip that both have."""
    return {key: value - theirs[key] for key, value in ours.items() if key in theirs}


def _weighted_sum(parts: Sequence[tuple[ClipScores, float]]) -> ClipScores:
    """Of the clips of the first part; empty if another part lacks one."""
    first, _ = parts[0]
    total = dict.fromkeys(first, 0.0)
    for scores, weight in parts:
        if scores.keys() != first.keys():
            return {}
        for key, value in scores.items():
            total[key] += weight * value
    return total


def _read_scores(entry: RunEntry) -> dict[str, ClipScores]:
    path = entry.folder / RECORDS_FILE
    scores: dict[str, ClipScores] = {}
    if not path.is_file():
        return scores
    for key, condition, correct in read_columns(path, "key", "condition", "correct"):
        # One string for all runs: many runs have the same clips.
        scores.setdefault(condition, {})[sys.intern(key)] = float(correct == "True")
    return scores
