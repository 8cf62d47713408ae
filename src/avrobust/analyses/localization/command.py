"""Where the model of a finished run takes the sound to come from: what `avrobust localize RUN` computes and writes.

localization.json: the numbers, by condition and share of the run's budgets.
localization.npz: of a few clips (K) under conditions (C, clean first) the frames (K,C,3,H,W) uint8
and the response
    maps (K,C,h,w) float32, at the whole budgets; keys (K), conditions (C), boxes (K,4), NaN where a
    clip has none
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from avrobust.analyses.localization.compute import (
    BASELINES,
    Responses,
    area_under_curve,
    guess,
    overlap,
    peaks,
    pointed,
    respond,
    scaled,
)
from avrobust.attacks.base import Objective
from avrobust.data.boxes import Box, sample_boxes
from avrobust.data.clips import Clips
from avrobust.data.mosaic import Mosaics, in_mosaic
from avrobust.errors import UserError
from avrobust.evaluation.metrics import percent, wilson
from avrobust.models.classifier import AVClassifier
from avrobust.models.fusion.base import MapFusion
from avrobust.tasks.attack import Attacker
from avrobust.tasks.examples import Examples
from avrobust.tasks.finished import config_of, write
from avrobust.tasks.loaded import loaded
from avrobust.tasks.parts import Config, Parts, build_parts, evaluating
from avrobust.tasks.train import trained
from avrobust.types import Condition, Record
from avrobust.utils.console import track
from avrobust.utils.files import atomic_write

ENOUGH = 0.5  # of cIoU: the source counts as found


class Truth(NamedTuple):
    """The true places of those clips that have one."""

    boxes: Tensor  # (M, 4)
    rows: Tensor  # (M,) int64: which of the N clips
    side: int  # of the pictures, in pixels


def main(
    folder: Path,
    *,
    levels: int,
    conditions: Sequence[Condition],
    examples: int,
    mosaic: bool = False,
) -> dict[str, Any]:
    """Attacks the model of a finished attack or defense again and follows its response maps; as in localization.json.

    A defended model is attacked on the objective by which the paper would.

    Args:
        folder: of the run.
        levels: of equal steps into which the run's budgets are cut.
        conditions: which attacks.
        examples: clips that are kept to look at; the same ones for all runs on a split.
        mosaic: show each clip's picture among three others; see `Mosaics`.

    Raises:
        UserError: there is no finished run in `folder`, or its model has no response map.
    """
    config = config_of(folder)
    attacker, parts = Attacker(config), build_parts(config)
    _refuse(folder, parts)
    run = trained(config, parts)
    name = (
        parts.defense.paper_objective
        if folder.resolve().parent.name == "defend"
        else "cross_entropy"
    )
    kept = Examples(attacker.batches(parts).keys, examples)
    attacker.suite = {condition: attacker.suite[condition] for condition in conditions}
    with evaluating(config) as device:
        model = loaded(run, parts.model, attacker.batches(parts), device, attacker.shortcuts).model
        work = _Work(config, attacker, parts, parts.defense.objectives()[name], mosaic)
        found = work.each_level(model, device, levels, kept)
    truth = work.truth(found[-1]["clean"].records)
    content = {
        "run_id": folder.resolve().name,
        "objective": name,
        "mosaic": mosaic,
        "eps": config["eps"],
        "shares": _shares(levels),
        "map": list(found[-1]["clean"].maps.shape[1:]),
        "n": len(found[-1]["clean"].records),
        "boxes": len(truth.rows),
        **_numbers(found, conditions, truth),
        "examples": _said(found[-1], kept, parts.data.classes),
    }
    _keep(folder / "localization.npz", found[-1], kept, truth)
    write(folder / "localization.json", json.dumps(content, indent=1) + "\n")
    return content


def _refuse(folder: Path, parts: Parts) -> None:
    if not isinstance(parts.model.fusion, MapFusion):
        raise UserError(
            f"{folder}: its fusion, {type(parts.model.fusion).__name__}, has no response map, as it looks at no places "
            "of a picture; attack a model with fusion=attention"
        )


def _shares(levels: int) -> list[float]:
    return [(level + 1) / levels for level in range(levels)]


class _Work(NamedTuple):
    """What is attacked, and how."""

    config: Config
    attacker: Attacker
    parts: Parts
    objective: Objective
    mosaic: bool

    def each_level(
        self, model: AVClassifier, device: torch.device, levels: int, kept: Examples
    ) -> list[dict[Condition, Responses]]:
        """The responses under the attacks at each share of the budgets; the clips of the last one are kept."""
        found = []
        for share in _shares(levels):
            batches = self.attacker.batches(self.parts)
            shown = Mosaics(batches, self._clips(), self.config["seed"]) if self.mosaic else batches
            found.append(
                respond(
                    model,
                    track(shown, f"responses at {share:.0%} of eps", len(batches)),
                    self.attacker.attack,
                    scaled(self.attacker.suite, share),
                    objective=self.objective,
                    seed=self.config["seed"],
                    device=device,
                    watch=kept.keep if share == 1 else None,
                )
            )
        return found

    def truth(self, records: list[Record]) -> Truth:
        """The boxes of those clips that have one; in mosaics of a data set without boxes the own picture is one."""
        place = {record.key: i for i, record in enumerate(records)}
        clips = self._clips()
        entries = [entry for entry in clips.entries if entry.key in place]
        boxes = sample_boxes(clips.root, entries, clips.form)
        if self.mosaic:
            whole = {} if boxes else {entry.key: Box(0, 0, 1, 1) for entry in entries}
            boxes = {
                key: in_mosaic(box, key, self.config["seed"])
                for key, box in {**boxes, **whole}.items()
            }
        rows = torch.tensor([place[key] for key in boxes], dtype=torch.int64)
        side = clips.form.image_size * (2 if self.mosaic else 1)
        return Truth(torch.tensor(list(boxes.values())).view(-1, 4), rows, side)

    def _clips(self) -> Clips:
        return self.parts.data.clips(self.config["split"])


def _numbers(
    found: list[dict[Condition, Responses]], conditions: Sequence[Condition], truth: Truth
) -> dict[str, Any]:
    """Of the clean clips, of each condition one entry a share, and of guesses that neither look nor listen."""
    clean = found[-1]["clean"]
    keys, size = (
        [record.key for record in clean.records],
        (clean.maps.shape[1], clean.maps.shape[2]),
    )
    baselines = {}
    for name in BASELINES if len(truth.rows) else ():
        baselines[name] = _placed(guess(name, keys, size, truth.side), truth)
    if baselines:
        del (
            baselines["whole"]["pointing"],
            baselines["whole"]["pointing_interval"],
        )  # it points nowhere
    return {
        "clean": _scores(clean, clean, truth),
        "attacked": {c: [_scores(level[c], clean, truth) for level in found] for c in conditions},
        "baselines": baselines,
    }


def _scores(responses: Responses, clean: Responses, truth: Truth) -> dict[str, Any]:
    """In percent: accuracy of recognition, clips whose peak left its clean place; with boxes what `_placed` says."""
    n = len(responses.records)
    moved = int((peaks(responses.maps) != peaks(clean.maps)).sum())
    return {
        **_share("accuracy", sum(record.correct for record in responses.records), n),
        **_share("moved", moved, n),
        **(_placed(responses.maps, truth) if len(truth.rows) else {}),
    }


def _placed(maps: Tensor, truth: Truth) -> dict[str, Any]:
    """How well maps (N, ...) fit the true places, in percent; AUC as well."""
    mine, count = maps[truth.rows], len(truth.rows)
    ciou = overlap(mine, truth.boxes, truth.side)
    return {
        **_share("pointing", int(pointed(mine, truth.boxes).sum()), count),
        **_share("ciou", int((ciou >= ENOUGH).sum()), count),
        "auc": 100 * area_under_curve(ciou),
    }


def _share(name: str, count: int, n: int) -> dict[str, Any]:
    return {name: percent(count, n), f"{name}_interval": wilson(count, n)}


def _said(
    found: dict[Condition, Responses], kept: Examples, classes: list[str]
) -> list[dict[str, Any]]:
    """What the model says of the kept clips: class and confidence by condition."""
    of = {(r.key, c): r for c, responses in found.items() for r in responses.records}
    return [
        {
            "key": key,
            "label": classes[of[key, "clean"].label],
            "said": {c: [classes[of[key, c].prediction], of[key, c].confidence] for c in found},
        }
        for key in kept.keys
        if (key, "clean") in of
    ]


def _keep(path: Path, found: dict[Condition, Responses], kept: Examples, truth: Truth) -> None:
    """Writes the kept clips' frames and maps; nothing if there are none."""
    place = {record.key: i for i, record in enumerate(found["clean"].records)}
    keys = [key for key in kept.keys if key in place]
    if not keys:
        return path.unlink(missing_ok=True)
    boxes = {int(row): box for row, box in zip(truth.rows, truth.boxes.numpy(), strict=True)}
    frames = np.array([[kept.clips[key, c][1] for c in found] for key in keys])
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            keys=np.array(keys),
            conditions=np.array(list(found)),
            frames=(frames * 255).round().astype(np.uint8),
            maps=np.array(
                [[found[c].maps[place[key]].numpy() for c in found] for key in keys],
                dtype=np.float32,
            ),
            boxes=np.array(
                [boxes.get(place[key], np.full(4, np.nan)) for key in keys], dtype=np.float32
            ),
        )
    return None
