"""What each class is taken for, before and after an attack: confusion counts of runs, for the page."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from avrobust.report.paper import EPS
from avrobust.report.scores import read_examples
from avrobust.types import STANDARD_NAMES as CONDITIONS

MOST = 400_000  # how many numbers of confusions the page holds


class Confusion(NamedTuple):
    """One run's clips by class, prediction and condition."""

    run: str
    title: str
    classes: list[str]
    counts: dict[
        str, list[int]
    ]  # by condition: class, prediction and number of clips, one after the other


class Confusions(NamedTuple):
    """Those that the page shows."""

    shown: list[Confusion]
    of: int


def confusions(
    runs: pd.DataFrame, titles: dict[str, str], root: Path, most: int = MOST
) -> Confusions:
    """The confusions of as many runs as the page can hold, joint models at the paper's eps first.

    Args:
        runs: of `collect`.
        titles: what each run is called, by its id.
        root: the folder of all runs.
        most: how many numbers may be used.
    """
    shown: list[Confusion] = []
    marked = runs.assign(far=runs["eps"] != EPS, other=runs["fusion"] != "concat")
    for row in marked.sort_values(
        ["far", "eps", "dataset", "other", "fusion", "defense", "attack"]
    ).itertuples():
        path = root / str(row.task) / str(row.run_id) / "examples.csv"
        if path.is_file():
            one = _confusion(path, str(row.run_id), titles[str(row.run_id)])
            most -= sum(map(len, one.counts.values()))
            if most < 0:
                break
            shown.append(one)
    return Confusions(shown, len(runs))


def _confusion(path: Path, run: str, title: str) -> Confusion:
    clips = Counter(read_examples(path, "condition", "label", "prediction"))
    classes = sorted({name for _, *names in clips for name in names})
    place = {name: i for i, name in enumerate(classes)}
    counts: dict[str, list[int]] = {}
    for (condition, label, prediction), count in clips.items():
        counts.setdefault(condition, []).extend((place[label], place[prediction], count))
    return Confusion(run, title, classes, {c: counts[c] for c in CONDITIONS if c in counts})


def as_json(found: Confusions) -> list[dict[str, Any]]:
    """For the page's script."""
    return [one._asdict() for one in found.shown]
