"""The strength curves and the surface of a finished run: what `avrobust surface RUN` computes and writes into it."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from avrobust.analyses.strength.compute import Strength, interaction, strength
from avrobust.errors import UserError
from avrobust.evaluation.metrics import percent, wilson
from avrobust.tasks.attack import Attacker
from avrobust.tasks.defend import attacked_by
from avrobust.tasks.finished import config_of, write
from avrobust.tasks.loaded import loaded
from avrobust.tasks.parts import EvaluationBatches, build_parts, evaluating
from avrobust.tasks.train import trained
from avrobust.utils.console import track


def main(folder: Path, *, levels: int, grid: int) -> dict[str, Any]:
    """Attacks the model of a finished attack or defense again, at many strengths; as in its strength.json.

    The largest budgets are those of the run's attack on both modalities. A defended model is
    attacked on the objectives of the run.

    Raises:
        UserError: there is no finished run in `folder`, or its clips were made on another model.
    """
    config = config_of(folder)
    if config.get("target"):
        raise UserError(
            f"{folder}: its attack wants a certain class; a strength is of an attack that wants any error"
        )
    attacker, parts = Attacker(config), build_parts(config)
    run = trained(config, parts)
    attack, objectives = attacked_by(folder, attacker, parts)
    largest = attacker.suite["audiovisual"]
    batches = EvaluationBatches(config, parts, config["split"], config.get("clips"))
    with evaluating(config) as device:
        found = strength(
            loaded(run, parts.model, batches, device, attacker.shortcuts).model,
            track(batches, "strength", len(batches)),
            attack,
            largest,
            levels=levels,
            grid=grid,
            objectives=list(objectives.values()),
            seed=config["seed"],
            device=device,
        )
    assert largest.audio is not None
    assert largest.visual is not None
    content = {"run_id": folder.name, **_content(found, largest.audio.eps, largest.visual.eps)}
    write(folder / "strength.json", json.dumps(content, indent=1) + "\n")
    write(
        folder / "strength.csv",
        _table(("key", *found.alone), _clips(found, largest.audio.eps, largest.visual.eps)),
    )
    return content


def _content(found: Strength, audio: float, visual: float) -> dict[str, Any]:
    """Curves and surface in percent, with the budgets in the units of the threat; what the picture is drawn from."""
    n, levels = len(found.keys), found.levels
    curves = {}
    for condition, first in found.alone.items():
        stand = [int((first > level).sum()) for level in range(levels + 1)]
        curves[condition] = {
            "accuracy": [percent(count, n) for count in stand],
            "interval": [wilson(count, n) for count in stand],
            "median": _median(first.tolist(), levels),
        }
    return {
        "n": n,
        "largest": {"audio": audio, "visual": visual},
        "shares": [level / levels for level in range(levels + 1)],
        "curves": curves,
        "grid": [level / found.grid for level in range(found.grid + 1)],
        "surface": {
            name: values.tolist() for name, values in interaction(found.surface)._asdict().items()
        },
    }


def _median(first: Sequence[int], levels: int) -> float | None:
    """The share of the largest budget that fools half of the clips recognized clean; None if it takes more than all."""
    recognized = sorted(level for level in first if level)
    middle = recognized[(len(recognized) - 1) // 2] if recognized else levels + 1
    return middle / levels if middle <= levels else None


def _clips(found: Strength, audio: float, visual: float) -> Iterable[Sequence[str]]:
    """Of each clip the smallest budgets, that of both as a share of the largest; nothing where none was found."""
    largest = {"audio": audio, "visual": visual, "audiovisual": 1.0}
    for i, key in enumerate(found.keys):
        first = {condition: int(x[i]) for condition, x in found.alone.items()}
        eps = (
            f"{largest[c] * x / found.levels:.6g}" if x <= found.levels else ""
            for c, x in first.items()
        )
        yield key, *eps


def _table(names: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    table.writerows(lines)
    return text.getvalue()
