"""What each class is taken for, before and after an attack, and the accuracy of each class."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from avrobust.charts.matrix import MatrixPanel, matrix_chart
from avrobust.experiments.kept_clips import RECORDS_FILE, read_columns
from avrobust.report.load import RunEntry
from avrobust.report.paper import EPS, published_names
from avrobust.utils.format import condition_words

Counts = list[list[int]]  # [class][prediction]
MOST_RUNS = 60  # on the page: a run's chart takes a tenth of a second to draw


class ClassAccuracy(NamedTuple):
    """One class of one run."""

    name: str
    n: int
    accuracies: list[float]  # in percent, by condition


class RunClasses(NamedTuple):
    """What the page shows of one run."""

    run: str
    title: str
    conditions: list[str]  # in words
    chart: Markup
    classes: list[ClassAccuracy]


class ClassConfusions(NamedTuple):
    """Those that the page shows, and of how many."""

    shown: list[RunClasses]
    total: int


def class_confusions(entries: Sequence[RunEntry], most: int) -> ClassConfusions:
    """The classes of as many runs as the page can hold: the paper's eps, first seeds, joint models.

    Args:
        entries: all runs.
        most: bytes that may be used.
    """
    shown: list[RunClasses] = []
    for entry in sorted(entries, key=_order):
        if len(shown) == MOST_RUNS:
            break
        if not (entry.folder / RECORDS_FILE).is_file():
            continue
        classes = _run_classes(entry)
        most -= len(classes.chart.encode())
        if most < 0:
            break
        shown.append(classes)
    return ClassConfusions(shown, len(entries))


def _order(entry: RunEntry) -> tuple[object, ...]:
    labels = entry.labels
    joint = labels.fusion in published_names(1, "fusion")
    names = (labels.dataset, not joint, labels.fusion, labels.defense, labels.attack)
    return labels.eps != EPS, labels.eps, entry.seed, *names


def _run_classes(entry: RunEntry) -> RunClasses:
    names, counts = _read_counts(entry)
    conditions = entry.result.conditions
    panels = []
    words = []
    for condition in conditions:
        words.append(condition_words(condition.info))
        panels.append(MatrixPanel(words[-1], counts[condition.name]))
    classes = []
    for i, name in enumerate(names):
        rows = [counts[condition.name][i] for condition in conditions]
        accuracies = [100 * row[i] / sum(row) if sum(row) else 0.0 for row in rows]
        classes.append(ClassAccuracy(name, sum(rows[0]), accuracies))
    chart = matrix_chart(entry.title, names, panels).html()
    return RunClasses(entry.run_id, entry.title, words, chart, classes)


def _read_counts(entry: RunEntry) -> tuple[list[str], dict[str, Counts]]:
    """The classes, and by condition how many clips of each class were taken for each class."""
    path = entry.folder / RECORDS_FILE
    rows = list(read_columns(path, "condition", "label", "prediction"))
    names = sorted({name for _, label, prediction in rows for name in (label, prediction)})
    position = {name: i for i, name in enumerate(names)}
    counts: dict[str, Counts] = {}
    for condition in entry.result.conditions:
        counts[condition.name] = [[0] * len(names) for _ in names]
    for condition_name, label, prediction in rows:
        counts[condition_name][position[label]][position[prediction]] += 1
    return names, counts
