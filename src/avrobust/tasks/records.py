"""Records of an evaluation as a result keeps them: a summary a condition, a CSV file of all."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from avrobust.evaluation.conditions import Attacked, Condition
from avrobust.evaluation.metrics import Share, share
from avrobust.evaluation.summaries import cost, success_by_attack
from avrobust.experiments.results import ConditionResult, Cost
from avrobust.types import MODALITIES, Modality, Record


def condition_results(
    records: Sequence[Record], conditions: Sequence[Condition]
) -> tuple[ConditionResult, ...]:
    """The summary of each condition, in the order of `conditions`."""
    by_condition: dict[str, list[Record]] = {condition.name: [] for condition in conditions}
    for record in records:
        by_condition[record.condition].append(record)
    results = []
    for condition in conditions:
        results.append(_condition_result(condition, by_condition[condition.name]))
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
        table.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in row.values()])
    return text.getvalue()


def _condition_result(condition: Condition, records: Sequence[Record]) -> ConditionResult:
    info = condition.info
    correct = sum(record.correct for record in records)
    return ConditionResult(
        name=info.name,
        title=info.title,
        modalities=info.modalities,
        adversarial=info.adversarial,
        accuracy=share(correct, len(records)),
        largest_distance={
            "audio": max(record.audio_distance for record in records),
            "visual": max(record.visual_distance for record in records),
        },
        eps=_budgets(condition),
        cost=Cost(**cost(records)) if info.adversarial else None,
        success_by_attack=success_by_attack(records),
        targeted_success=_targeted_success(records),
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
