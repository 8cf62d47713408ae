"""Which clips each run recognizes, and how sure the difference of two sets of runs is.

Both sets are scored on the same clips.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, NamedTuple, final

from avrobust.evaluation.paired import PairedDifference, paired_difference
from avrobust.experiments.recognized import read_recognized
from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import RunEntry

LEVEL = 0.05  # a difference with a larger p-value is within noise

FindingVerdict = Literal["holds", "does not hold", "within noise", "not enough data"]
ClipScores = Mapping[str, float]  # of each clip, by its key: 1 or 0, or a sum of such


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
    low: float  # 95 % interval of the difference for new clips, in points
    high: float
    gained: int  # clips that speak for the paper's direction
    lost: int
    n: int
    seeds: int
    p: float | None  # None for two attacks on the same models: who fools more there is a fact
    verdict: FindingVerdict

    def significant(self, tests: int) -> bool:
        """Whether chance does not explain it, after Bonferroni's correction for some tests."""
        return self.p is None or self.p * tests <= LEVEL


@final
class Scores:
    """Reads the examples.csv of runs, each once."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, ClipScores]] = {}

    def by_condition(self, entry: RunEntry) -> dict[str, ClipScores]:
        """Whether each clip is recognized, by condition; empty if the run's file is not there."""
        if entry.run_id not in self._read:
            self._read[entry.run_id] = dict(read_recognized(entry.folder, entry.result))
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
    """Compares each clip's mean over the seeds that both sides have: see `evaluation/paired.py`.

    Args:
        scores: of the runs.
        better: the side that the paper has above.
        worse: the other one.
        or_equal: the paper's direction includes that both are equal.

    Returns:
        None where the two have no seed or no clip in common.
    """
    pairs = _same_seed(better, worse)
    changes = []
    for ours, theirs in pairs:
        changes.append(
            _difference(scores.of(ours, better.measure), scores.of(theirs, worse.measure))
        )
    if not changes:
        return None
    common = [key for key in changes[0] if all(key in change for change in changes)]
    if not common:
        return None
    same_models = all(ours.result.model == theirs.result.model for ours, theirs in pairs)
    paired = paired_difference([fmean([change[key] for change in changes]) for key in common])
    return PairedTest(
        better=better,
        worse=worse,
        difference=paired.difference,
        low=paired.low,
        high=paired.high,
        gained=paired.gained,
        lost=paired.lost,
        n=paired.n,
        seeds=len(pairs),
        p=None if same_models else paired.p,
        verdict=_verdict(paired, same_models=same_models, or_equal=or_equal),
    )


def fooled_in_addition(scores: Scores, first: Side, second: Side) -> tuple[int, int] | None:
    """How many clips one of two attacks fools and the other one does not, over all seeds.

    Args:
        scores: of the runs.
        first: one attack.
        second: another attack on the same models.

    Returns:
        The clips that only the first attack fools, and those that only the second one does. None
        where the two have no seed in common, or the clips of a run are not known.
    """
    only_first, only_second = 0, 0
    pairs = _same_seed(first, second)
    for ours, theirs in pairs:
        change = _difference(scores.of(ours, first.measure), scores.of(theirs, second.measure))
        if not change:
            return None
        only_first += sum(value < 0 for value in change.values())
        only_second += sum(value > 0 for value in change.values())
    return (only_first, only_second) if pairs else None


def undefended_side(defended: Side, entries: Sequence[RunEntry], name: str) -> Side | None:
    """The undefended models that defended ones were compared with when they were attacked.

    Args:
        defended: the defended models.
        entries: all runs.
        name: of the new side.
    """
    runs = set()
    for entry in defended.entries:
        if entry.result.comparison:
            runs.add(entry.result.comparison.run_id)
    undefended = tuple(entry for entry in entries if entry.run_id in runs)
    return Side(name, undefended, defended.measure) if undefended else None


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
    tests = sum(one.p is not None for one in comparisons)
    sure = {one.verdict for one in comparisons if one.significant(tests)}
    if one_is_enough and "holds" in sure:
        return "holds"
    if not one_is_enough and "does not hold" in sure:
        return "does not hold"
    if missing or not comparisons:
        return "not enough data"
    wanted: FindingVerdict = "does not hold" if one_is_enough else "holds"
    return wanted if all(one.verdict == wanted for one in comparisons) else "within noise"


def _verdict(paired: PairedDifference, *, same_models: bool, or_equal: bool) -> FindingVerdict:
    if or_equal and paired.gained == paired.lost == 0:
        return "holds"
    if same_models:
        return "holds" if paired.difference > 0 else "does not hold"
    if paired.p > LEVEL:
        return "within noise"
    return "holds" if paired.difference > 0 else "does not hold"


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
    total: dict[str, float] = dict.fromkeys(first, 0.0)
    for scores, weight in parts:
        if scores.keys() != first.keys():
            return {}
        for key, value in scores.items():
            total[key] += weight * value
    return total
