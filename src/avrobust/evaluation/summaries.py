"""What the records of an evaluation come to: accuracies, costs, successes, the worst case."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from avrobust.evaluation.metrics import percent, wilson
from avrobust.types import Record

# The fields of a record that say what an attack cost.
COSTS = ("gradients", "queries", "shared_gradients")


Recognized = dict[str, dict[str, bool]]  # by condition and key, whether the model is right


class Summary(NamedTuple):
    """A row of a robustness table: accuracies in percent."""

    n: int  # clips
    accuracy: dict[str, float]  # by condition
    interval: dict[str, tuple[float, float]]  # 95 %, Wilson


def summarize(records: Iterable[Record]) -> Summary:
    """Accuracies by condition.

    Args:
        records: of one evaluation, or of several on the same clips.
    """
    accuracy: dict[str, float] = {}
    interval: dict[str, tuple[float, float]] = {}
    n = 0
    for condition, same_condition in by_condition(records).items():
        correct = sum(record.correct for record in same_condition)
        n = max(n, len(same_condition))
        accuracy[condition] = percent(correct, len(same_condition))
        interval[condition] = wilson(correct, len(same_condition))
    return Summary(n, accuracy, interval)


def by_condition(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each condition, in the order in which the conditions were evaluated."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.condition, []).append(record)
    return groups


def recognized_clips(records: Iterable[Record]) -> Recognized:
    """Whether the model is right on each clip under each condition.

    Args:
        records: of one evaluation.
    """
    recognized: Recognized = {}
    for record in records:
        recognized.setdefault(record.condition, {})[record.key] = record.correct
    return recognized


def worst_of_nested(recognized: Recognized, nested: Mapping[str, Sequence[str]]) -> Recognized:
    """Each clip's worst of an attack and of the attacks within its budgets.

    An attacker who may change both modalities may leave one of them alone. So a clip that the
    attack on the sound fools is fooled by who may change both, if the sound's budget is no larger.

    Args:
        recognized: what each attack itself leaves.
        nested: by condition, the attacks whose budgets lie within its budgets.
    """
    worst: Recognized = {}
    for condition, clips in recognized.items():
        attacks = [clips]
        for name in nested.get(condition, ()):
            attacks.append(recognized[name])
        worst[condition] = {key: all(attack[key] for attack in attacks) for key in clips}
    return worst


def robust_accuracy(
    records: Iterable[Record], nested: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Accuracies in percent by condition, of each clip's worst as in `worst_of_nested`.

    Args:
        records: of one evaluation.
        nested: by condition, the attacks whose budgets lie within its budgets.
    """
    accuracy = {}
    for condition, clips in worst_of_nested(recognized_clips(records), nested).items():
        accuracy[condition] = percent(sum(clips.values()), len(clips))
    return accuracy


def cost(records: Sequence[Record]) -> dict[str, float]:
    """The mean numbers of gradients, queries and shared gradients a clip.

    Args:
        records: of one condition.
    """
    return {field: fmean(getattr(record, field) for record in records) for field in COSTS}


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


def success_by_attack(records: Iterable[Record]) -> dict[str, int]:
    """How many clips each member of an ensemble fooled; empty for other attacks.

    Args:
        records: of one condition.
    """
    counts: dict[str, int] = {}
    for record in records:
        if record.attack:
            counts[record.attack] = counts.get(record.attack, 0) + 1
    return counts


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
