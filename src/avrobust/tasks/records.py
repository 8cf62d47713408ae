"""Records of an evaluation as a result keeps them: a summary a condition, a CSV file of all."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from avrobust.evaluation.conditions import Attacked, Condition
from avrobust.evaluation.metrics import Share, share
from avrobust.evaluation.nested import nested_conditions
from avrobust.evaluation.summaries import (
    by_condition,
    cost,
    recognized_clips,
    success_by_attack,
    worst_of_nested,
)
from avrobust.experiments.results import ConditionResult, Cost
from avrobust.types import MODALITIES, Modality, Record
from avrobust.utils.spreadsheet import neutral


def condition_results(
    records: Sequence[Record], conditions: Sequence[Condition]
) -> tuple[ConditionResult, ...]:
    """The summary of each condition, in the order of `conditions`."""
    groups = by_condition(records)
    nested = nested_conditions(conditions)
    worst = worst_of_nested(recognized_clips(records), nested)
    results = []
    for condition in conditions:
        name = condition.name
        inner = nested.get(name, ())
        results.append(_condition_result(condition, groups[name], worst[name], inner))
    return tuple(results)


def records_as_csv(records: Sequence[Record], classes: Sequence[str]) -> str:
    """All records as CSV, with class names for labels, predictions and targets."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Record._fields)
    for record in records:
        row: dict[str, Any] = record._asdict()
        for column in ("label", "prediction", "target"):
            if row[column] is not None:
                row[column] = classes[row[column]]
        cells = []
        for value in row.values():
            cells.append(f"{value:.6g}" if isinstance(value, float) else neutral(value))
        table.writerow(cells)
    return text.getvalue()


def _condition_result(
    condition: Condition,
    records: Sequence[Record],
    recognized: Mapping[str, bool],
    nested: tuple[str, ...],
) -> ConditionResult:
    """The summary of one condition.

    Args:
        condition: what the clips went through.
        records: of the condition itself.
        recognized: by key, whether the model is right under the condition and the nested ones.
        nested: the conditions whose budgets lie within this one's budgets.
    """
    info = condition.info
    alone = share(sum(record.correct for record in records), len(records))
    return ConditionResult(
        name=info.name,
        title=info.title,
        modalities=info.modalities,
        adversarial=info.adversarial,
        accuracy=share(sum(recognized.values()), len(recognized)),
        largest_distance={
            "audio": max(record.audio_distance for record in records),
            "visual": max(record.visual_distance for record in records),
        },
        eps=_budgets(condition),
        cost=Cost(**cost(records)) if info.adversarial else None,
        success_by_attack=success_by_attack(records),
        targeted_success=_targeted_success(records),
        nested=nested,
        alone=alone if nested else None,
    )


def _budgets(condition: Condition) -> dict[Modality, float]:
    """The eps of each modality that an attack may change."""
    budgets: dict[Modality, float] = {}
    if isinstance(condition, Attacked):
        for modality in MODALITIES:
            budget = getattr(condition.threat, modality)
            if budget is not None:
                budgets[modality] = budget.eps
    return budgets


def _targeted_success(records: Sequence[Record]) -> Share | None:
    """The share of clips that ended in the wanted class; None if the attack wants no class."""
    targeted = [record for record in records if record.target is not None]
    if not targeted:
        return None
    return share(sum(record.prediction == record.target for record in targeted), len(targeted))
