"""Accuracy over eps (Fig. 3): what is drawn, and the same as a table."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from avrobust.experiments.settings import UNDEFENDED
from avrobust.report.load import RunEntry
from avrobust.report.rows import Row, rows
from avrobust.report.table import Line, Table, Text, columns_of, number_text
from avrobust.report.tidy import tidy_rows
from avrobust.types import ConditionInfo

NAME = "fig3"
TITLE = "Fig. 3: accuracy over eps, attacked on audio, video or both"


class CurvePoint(NamedTuple):
    """One accuracy of a curve, in percent."""

    eps: float
    mean: float
    low: float
    high: float
    run: str  # the first of its runs


class Curve(NamedTuple):
    """One model over eps; the point at eps 0 is its clean accuracy."""

    name: str
    points: list[CurvePoint]


class Panel(NamedTuple):
    """The curves under one condition."""

    condition: ConditionInfo
    curves: list[Curve]


class StrengthFigure(NamedTuple):
    """The panels of one data set, threat and attack."""

    title: str
    name: str  # for a file
    n: int
    panels: list[Panel]


def strength_figures(entries: Sequence[RunEntry]) -> list[StrengthFigure]:
    """One figure for each data set, threat, attack and settings.

    It needs a model that was attacked at two eps at least.
    """
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in _strength_rows(entries):
        labels = row.labels
        key = (labels.dataset, labels.threat, labels.attack, row.settings)
        groups.setdefault(key, []).append(row)
    figures = []
    for key in sorted(groups):
        figure = _figure(key, groups[key])
        if figure.panels[0].curves:
            figures.append(figure)
    return figures


def strength_table(entries: Sequence[RunEntry]) -> Table | None:
    """Accuracy over eps: a line for each data set, threat, attack, attacked modality and model."""
    lines: list[Line] = []
    shown: list[Row] = []
    grid: set[float] = set()
    for same_model in _by_model(_strength_rows(entries)).values():
        if len({row.labels.eps for row in same_model}) < 2:
            continue
        shown += same_model
        for condition in same_model[0].attacked:
            lines.append(_line(same_model, condition))
        grid |= {row.labels.eps for row in same_model}
    if not lines:
        return None
    eps_columns = [f"{eps:g}" for eps in sorted(grid)]
    labels = [name for name in columns_of(lines) if name not in eps_columns]
    if not any(line.cells["settings"].main for line in lines):
        labels.remove("settings")
    return Table(NAME, TITLE, [*labels, *eps_columns], lines, tidy_rows(shown))


def model_name(row: Row) -> str:
    """What a curve is called: the fusion, and the defense if there is one."""
    labels = row.labels
    return labels.fusion if labels.defense == UNDEFENDED else f"{labels.fusion} + {labels.defense}"


def _strength_rows(entries: Sequence[RunEntry]) -> list[Row]:
    """All models at all eps, on the whole test split, with the same budget alone and together."""
    kept = []
    for entry in entries:
        same_budget = entry.single_modality_factor == 1.0
        if entry.on_test_split and entry.result.attacked and same_budget:
            kept.append(entry)
    return rows(kept)


def _by_model(strength_rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """The rows of one model, which differ in eps alone."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in strength_rows:
        labels = row.labels
        names = (labels.dataset, labels.threat, labels.attack, labels.fusion, labels.defense)
        groups.setdefault((*names, row.settings), []).append(row)
    return groups


def _line(same_model: Sequence[Row], condition: ConditionInfo) -> Line:
    first = same_model[0]
    labels = first.labels
    cells = {
        "dataset": Text(labels.dataset),
        "threat": Text(labels.threat),
        "attack": Text(labels.attack),
        "condition": Text(condition.title),
        "model": Text(model_name(first)),
        "settings": Text(first.settings),
        "clean": number_text(first.clean.mean, run=first.runs[0]),
    }
    for row in same_model:
        cell = row.cells[condition.name]
        cells[f"{row.labels.eps:g}"] = number_text(cell.mean, cell.deviation, run=row.runs[0])
    runs = tuple(run for row in same_model for run in row.runs)
    return Line(cells, "ours", runs)


def _figure(key: tuple[str, str, str, str], group: Sequence[Row]) -> StrengthFigure:
    dataset, threat, attack, settings = key
    title = f"{dataset}, {attack}, threat {threat}"
    parts = [NAME, dataset, attack, threat]
    if settings:
        title = f"{title}, {settings}"
        parts.append(hashlib.sha256(settings.encode()).hexdigest()[:6])  # settings may be very long
    panels = [Panel(condition, _curves(group, condition)) for condition in group[0].attacked]
    return StrengthFigure(title, "-".join(parts), min(row.n for row in group), panels)


def _curves(group: Sequence[Row], condition: ConditionInfo) -> list[Curve]:
    curves = []
    for same_model in _by_model(group).values():
        if len({row.labels.eps for row in same_model}) < 2:
            continue
        first = same_model[0]
        points = [_point(first, first.conditions[0], 0.0)]
        for row in same_model:
            points.append(_point(row, condition, row.labels.eps))
        curves.append(Curve(model_name(first), sorted(points)))
    return curves


def _point(row: Row, condition: ConditionInfo, eps: float) -> CurvePoint:
    cell = row.cells[condition.name]
    return CurvePoint(eps, cell.mean, cell.low, cell.high, row.runs[0])
