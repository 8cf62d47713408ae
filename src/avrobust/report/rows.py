"""Runs that differ in their seed alone: mean, deviation and interval of each condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple, final

from avrobust.evaluation.metrics import wilson
from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import Labels, RunEntry
from avrobust.report.paper import Published
from avrobust.types import ConditionInfo


class Cell(NamedTuple):
    """An accuracy in percent over the seeds of a row."""

    mean: float
    deviation: float | None  # sample standard deviation over seeds; None with one seed
    low: float  # 95 % interval of the mean accuracy, as far as the number of clips goes
    high: float


class Gain(NamedTuple):
    """Robustness improvement in points over the seeds of a row."""

    mean: float
    deviation: float | None


@final
@dataclass(frozen=True)
class Row:
    """One line of a table: what was attacked, and what we and the paper found."""

    labels: Labels
    settings: str  # in what it differs from other rows with the same labels
    entries: tuple[RunEntry, ...]  # by seed
    conditions: tuple[ConditionInfo, ...]
    cells: dict[str, Cell]  # by condition

    @property
    def first(self) -> EvaluationResult:
        """The result of the first seed; what all seeds have in common is read from it."""
        return self.entries[0].result

    @property
    def clean(self) -> Cell:
        """The accuracy on clips as they were recorded."""
        return self.cells[self.conditions[0].name]

    @property
    def attacked(self) -> list[ConditionInfo]:
        """The conditions that are attacks."""
        return [condition for condition in self.conditions if condition.adversarial]

    @property
    def average(self) -> float:
        """Over the attacks."""
        return fmean([self.cells[condition.name].mean for condition in self.attacked])

    @property
    def average_with_clean(self) -> float:
        """Over clean and the attacks."""
        return fmean(
            [self.clean.mean, *(self.cells[condition.name].mean for condition in self.attacked)]
        )

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len({entry.seed for entry in self.entries})

    @property
    def n(self) -> int:
        """The number of clips."""
        return self.first.n

    @property
    def skipped(self) -> int:
        """How many clips could not be read."""
        return max(len(entry.result.skipped) for entry in self.entries)

    @property
    def bounded(self) -> bool:
        """Whether the attack keeps to its budget."""
        return self.first.attack.bounded

    @property
    def trusted(self) -> bool:
        """False if a check of the attack found it too weak."""
        return all(entry.result.trusted for entry in self.entries)

    @property
    def stale(self) -> str:
        """The mark of results that the code at hand would not give; empty if there is none."""
        marks = dict.fromkeys(entry.stale.mark for entry in self.entries if entry.stale)
        return ", ".join(marks)

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of the runs, by seed."""
        return tuple(entry.run_id for entry in self.entries)

    @property
    def published(self) -> Published | None:
        """The paper's row."""
        return self.entries[0].published

    @property
    def epochs(self) -> str:
        """That the model was trained for, all stages together."""
        return ", ".join(str(epochs) for epochs in sorted({e.result.epochs for e in self.entries}))

    @property
    def gain(self) -> Gain | None:
        """The robustness improvement over the undefended model; None if a run has no comparison."""
        gains = []
        for entry in self.entries:
            if entry.result.comparison is None:
                return None
            gains.append(entry.result.comparison.ri)
        return Gain(fmean(gains), deviation(gains))

    def alone(self, condition: ConditionInfo) -> float | None:
        """What the attack itself leaves, in percent over the seeds.

        None where no clip was fooled by an attack within its budgets alone.
        """
        values, changed = [], 0
        for entry in self.entries:
            for result in entry.result.conditions:
                if result.name == condition.name:
                    values.append(result.own_accuracy.percent)
                    changed += result.fooled_by_nested
        return fmean(values) if changed else None


def rows(entries: Sequence[RunEntry]) -> list[Row]:
    """One row for each group of runs that differ in nothing but their seed."""
    groups: dict[tuple[Labels, str], list[RunEntry]] = {}
    for entry in entries:
        groups.setdefault((entry.labels, entry.settings), []).append(entry)
    return [_row(groups[key]) for key in sorted(groups)]


def conditions_of(entries: Sequence[RunEntry]) -> list[ConditionInfo]:
    """Every condition that any of the runs has, clean and attacks first."""
    infos: dict[ConditionInfo, None] = {}
    for entry in entries:
        for condition in entry.result.conditions:
            infos[condition.info] = None
    return sorted(infos, key=lambda info: (not info.clean, not info.adversarial))


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None of one value."""
    return stdev(values) if len(values) > 1 else None


def cell_of(values: Sequence[float], n: int) -> Cell:
    """Accuracies in percent over seeds, each of the same n clips."""
    mean = fmean(values)
    low, high = wilson(round(mean / 100 * n), n)
    return Cell(mean, deviation(values), low, high)


def _row(group: Sequence[RunEntry]) -> Row:
    first = group[0]
    conditions = [condition.info for condition in first.result.conditions]
    cells = {}
    for condition in conditions:
        values = [entry.result.accuracy[condition.name] for entry in group]
        cells[condition.name] = cell_of(values, first.result.n)
    return Row(first.labels, first.settings, tuple(group), tuple(conditions), cells)
