"""Runs and rows as flat records for programs: what the CSV files hold."""

from collections.abc import Sequence
from typing import Any

from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import RunEntry
from avrobust.report.rows import Row
from avrobust.types import ConditionInfo


def tidy_runs(entries: Sequence[RunEntry]) -> list[dict[str, Any]]:
    """One record a run."""
    return [_run_record(entry) for entry in entries]


def tidy_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One record a row and condition."""
    records = []
    for row in rows:
        for condition in row.conditions:
            records.append(_row_record(row, condition))
    return records


def _run_record(entry: RunEntry) -> dict[str, Any]:
    result = entry.result
    record: dict[str, Any] = {
        **entry.labels._asdict(),
        "settings": entry.settings,
        "seed": entry.seed,
        "n": result.n,
        "skipped": len(result.skipped),
        "bounded": result.attack.bounded,
        "trusted": result.trusted,
        "stale": entry.stale.mark if entry.stale else "",
    }
    for condition in result.conditions:
        accuracy = condition.accuracy
        record[condition.name] = accuracy.percent
        record[f"{condition.name}_low"] = accuracy.low
        record[f"{condition.name}_high"] = accuracy.high
        if condition.nested:
            record[f"{condition.name}_alone"] = condition.own_accuracy.percent
        if condition.cost:
            record[f"gradients_{condition.name}"] = condition.cost.gradients
            record[f"queries_{condition.name}"] = condition.cost.queries
        if entry.published and condition.name in entry.published.accuracy:
            record[f"paper_{condition.name}"] = entry.published.accuracy[condition.name]
    return record | _summary(result)


def _summary(result: EvaluationResult) -> dict[str, Any]:
    comparison = result.comparison
    return {
        "average": result.average if result.attacked else None,
        "average_with_clean": result.average_with_clean if result.attacked else None,
        "epochs": result.epochs,
        "ri": comparison.ri if comparison else None,
        "against": comparison.run_id if comparison else None,
        "seconds": result.seconds,
        "task": result.task,
        "model": result.model,
        "run_id": result.run_id,
    }


def _row_record(row: Row, condition: ConditionInfo) -> dict[str, Any]:
    cell = row.cells[condition.name]
    published = row.published.accuracy.get(condition.name) if row.published else None
    return {
        **row.labels._asdict(),
        "settings": row.settings,
        "bounded": row.bounded,
        "condition": condition.name,
        **cell._asdict(),
        "alone": row.alone(condition),
        "n": row.n,
        "seeds": row.seeds,
        "published": published,
        "difference": None if published is None else cell.mean - published,
    }
