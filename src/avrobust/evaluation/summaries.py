"""What the records of an evaluation come to: accuracies, costs, successes, the worst case."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from avrobust.evaluation.metrics import average, average_with_clean, percent, wilson
from avrobust.types import STANDARD_CONDITIONS, ConditionInfo, Record

# The fields of a record that say what an attack cost.
COSTS = ("gradients", "queries", "shared_gradients")


class Summary(NamedTuple):
    """A row of a robustness table: accuracies in percent."""

    n: int  # clips
    accuracy: dict[str, float]  # by condition
    interval: dict[str, tuple[float, float]]  # 95 %, Wilson
    average: float | None  # over the attacks; None unless both modalities were attacked, each
    # alone and together
    average_with_clean: float | None  # over those and the clean clips


def summarize(
    records: Iterable[Record], conditions: Sequence[ConditionInfo] = STANDARD_CONDITIONS
) -> Summary:
    """Accuracies by condition, and their averages.

    Args:
        records: of one evaluation, or of several on the same clips.
        conditions: which of the records' conditions are clean and which are attacks. A condition
            that is not described here has an accuracy, and counts into no average.
    """
    correct: dict[str, list[bool]] = {}
    for record in records:
        correct.setdefault(record.condition, []).append(record.correct)
    accuracy = {name: percent(sum(marks), len(marks)) for name, marks in correct.items()}
    interval = {name: wilson(sum(marks), len(marks)) for name, marks in correct.items()}
    evaluated = [condition for condition in conditions if condition.name in accuracy]
    attacked = {condition.modalities for condition in evaluated if condition.adversarial}
    complete = len(attacked) == 3 and any(condition.clean for condition in evaluated)
    return Summary(
        n=max(map(len, correct.values())),
        accuracy=accuracy,
        interval=interval,
        average=average(accuracy, evaluated) if complete else None,
        average_with_clean=average_with_clean(accuracy, evaluated) if complete else None,
    )


def cost(
    records: Iterable[Record], conditions: Sequence[ConditionInfo] = STANDARD_CONDITIONS
) -> dict[str, dict[str, float]]:
    """What an attack cost on average for each clip, by condition.

    Args:
        records: of one evaluation.
        conditions: those that are not attacks are left out.

    Returns:
        By condition the mean numbers of gradients, queries and shared gradients.
    """
    without_attack = {condition.name for condition in conditions if not condition.adversarial}
    by_condition: dict[str, list[Record]] = {}
    for record in records:
        if record.condition not in without_attack:
            by_condition.setdefault(record.condition, []).append(record)
    costs: dict[str, dict[str, float]] = {}
    for name, rows in by_condition.items():
        costs[name] = {field: fmean(getattr(row, field) for row in rows) for field in COSTS}
    return costs


def sum_queries(records: Sequence[Record], evaluations: Sequence[list[Record]]) -> list[Record]:
    """The records with the gradients and queries of all evaluations of the same clips together.

    Args:
        records: one for each clip and condition.
        evaluations: lists of records in the same order.
    """
    summed = []
    for i, record in enumerate(records):
        totals: dict[str, int] = {}
        for field in COSTS:
            totals[field] = sum(getattr(evaluation[i], field) for evaluation in evaluations)
        summed.append(record._replace(**totals))  # type: ignore[arg-type]
    return summed


def success_by_attack(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """By condition, how many clips each member of an ensemble fooled; empty for other attacks."""
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        if record.attack:
            by_attack = counts.setdefault(record.condition, {})
            by_attack[record.attack] = by_attack.get(record.attack, 0) + 1
    return counts


def targeted_success_rate(records: Iterable[Record]) -> dict[str, dict[str, float]]:
    """The percentage of clips whose prediction is the attack's target, by condition.

    Returns:
        By condition "share", "low" and "high", the latter two of the 95 % interval; empty for
        attacks without a target.
    """
    reached: dict[str, list[bool]] = {}
    for record in records:
        if record.target is not None:
            is_target = record.prediction == record.target
            reached.setdefault(record.condition, []).append(is_target)
    rates: dict[str, dict[str, float]] = {}
    for name, marks in reached.items():
        low, high = wilson(sum(marks), len(marks))
        rates[name] = {"share": percent(sum(marks), len(marks)), "low": low, "high": high}
    return rates


def worst_case(evaluations: Sequence[list[Record]]) -> list[Record]:
    """For each clip and condition the record of the attack that harmed the model most.

    A record with a wrong prediction is worse than one with a correct one; among equals the higher
    loss is worse.

    Args:
        evaluations: of one model on the same clips, so that the lists have the same order.
    """

    def order(record: Record) -> tuple[bool, float]:
        return record.correct, -record.loss

    return [min(same_clip, key=order) for same_clip in zip(*evaluations, strict=True)]
