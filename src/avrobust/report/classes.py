"""What each class is taken for, before and after an attack: confusion counts of runs, for the page."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from avrobust.experiments.kept_clips import RECORDS_FILE, read_columns
from avrobust.report.load import Entry
from avrobust.report.paper import EPS, published_names

MOST = 400_000  # how many numbers of confusions the page holds


class Confusion(NamedTuple):
    """One run's clips by class, prediction and condition."""

    run: str
    title: str
    classes: list[str]
    conditions: dict[str, str]  # the title of each condition
    counts: dict[str, list[int]]  # by condition: class, prediction and number of clips, one after the other


class Confusions(NamedTuple):
    """Those that the page shows, and of how many."""

    shown: list[Confusion]
    total: int


def confusions(entries: Sequence[Entry], most: int = MOST) -> Confusions:
    """The confusions of as many runs as the page can hold, joint models at the paper's eps first.

    Args:
        entries: all runs.
        most: how many numbers may be used.
    """
    shown: list[Confusion] = []
    for entry in sorted(entries, key=_order):
        if not (entry.folder / RECORDS_FILE).is_file():
            continue
        confusion = _confusion(entry)
        most -= sum(len(counts) for counts in confusion.counts.values())
        if most < 0:
            break
        shown.append(confusion)
    return Confusions(shown, len(entries))


def as_json(confusions: Confusions) -> list[dict[str, Any]]:
    """For the page's script."""
    return [confusion._asdict() for confusion in confusions.shown]


def _order(entry: Entry) -> tuple[Any, ...]:
    labels = entry.labels
    joint = labels.fusion in published_names(1, "fusion")
    return (
        labels.eps != EPS,
        labels.eps,
        labels.dataset,
        not joint,
        labels.fusion,
        labels.defense,
        labels.attack,
    )


def _confusion(entry: Entry) -> Confusion:
    clips = Counter(read_columns(entry.folder / RECORDS_FILE, "condition", "label", "prediction"))
    names: set[str] = set()
    for _, label, prediction in clips:
        names |= {label, prediction}
    classes = sorted(names)
    position = {name: i for i, name in enumerate(classes)}
    titles = {condition.name: condition.title for condition in entry.result.conditions}
    counts: dict[str, list[int]] = {name: [] for name in titles}
    for (condition, label, prediction), count in clips.items():
        counts[condition] += [position[label], position[prediction], count]
    return Confusion(entry.run_id, entry.title, classes, titles, counts)
