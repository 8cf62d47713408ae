"""The embeddings of a finished run: what `avrobust embeddings RUN` computes and writes into its folder."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avrobust.analyses.embeddings.compute import STAGES, Array, Embedded, Stage, embedded, tsne
from avrobust.attacks.losses import comparable_embeddings, cosine
from avrobust.errors import UserError
from avrobust.evaluation.metrics import compactness
from avrobust.models.classifier import AVClassifier
from avrobust.tasks.attack import Attacker
from avrobust.tasks.defend import attacked_by
from avrobust.tasks.finished import config_of, write
from avrobust.tasks.loaded import loaded
from avrobust.tasks.parts import Parts, build_parts, evaluating
from avrobust.tasks.train import trained
from avrobust.types import MODALITIES, Features, Modality
from avrobust.types import STANDARD_NAMES as CONDITIONS
from avrobust.utils.console import track

SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)  # of the run's eps


def main(folder: Path, *, eps: Sequence[float] | None, clips: int) -> dict[str, Any]:
    """Attacks the model of a finished attack or defense again and embeds the clips; as in its embeddings.json.

    Args:
        folder: of the run.
        eps: the budgets beside the run's own at which cosines are taken; None is `SHARES` of the
            run's.
        clips: how many are drawn in the t-SNE at most; which ones depends on their names alone.

    Raises:
        UserError: there is no finished run in `folder`, its clips were made on another model, or
            its eps is 0.
    """
    config = config_of(folder)
    attacker, parts = Attacker(config), build_parts(config)
    own = float(config["eps"])
    if own <= 0:
        raise UserError(f"{folder}: its eps is 0, so nothing was attacked")
    every = sorted({own, *(eps or (share * own for share in SHARES))} - {0.0})
    found = _attacked(folder, attacker, parts, every)
    content = {
        "run_id": folder.name,
        "n": len(found[own].keys),
        "eps": own,
        "seed": config["seed"],
        "accuracy": found[own].accuracy,
        **_points(found[own], parts.data.classes, clips, config["seed"]),
        "compactness": _compactness(found[own]),
        "cosine": _cosines(found, parts.model),
    }
    write(folder / "embeddings.json", json.dumps(content) + "\n")
    return content


def _attacked(
    folder: Path, attacker: Attacker, parts: Parts, every: Sequence[float]
) -> dict[float, Embedded]:
    """By eps the embeddings of all clips."""
    config = attacker.config
    attack, objectives = attacked_by(folder, attacker, parts)
    run = trained(config, parts)
    batches = attacker.batches(parts)
    with evaluating(config) as device:
        model, known = loaded(run, parts.model, batches, device, attacker.shortcuts)

        def at(eps: float) -> Embedded:
            suite = {c: threat.scaled(eps / config["eps"]) for c, threat in attacker.suite.items()}
            return embedded(
                model,
                batches,
                attack,
                suite,
                objectives=list(objectives.values()),
                seed=config["seed"],
                device=device,
                known=known,
            )

        return {
            eps: at(eps)
            for eps in track(every, f"embeddings of {config['choices']['fusion']}", len(every))
        }


def _points(found: Embedded, classes: Sequence[str], most: int, seed: int) -> dict[str, Any]:
    """Coordinates by t-SNE of the drawn clips: each modality's clean and attacked embeddings together."""
    drawn = sorted(
        range(len(found.keys)), key=lambda i: hashlib.sha256(found.keys[i].encode()).hexdigest()
    )[:most]
    points: dict[str, Any] = {}
    for stage, modality, groups in _spaces(found):
        coordinates = tsne([group[drawn] for group in groups.values()], seed)
        if coordinates:
            pairs = zip(groups, coordinates, strict=True)
            points.setdefault(stage, {})[modality] = {
                c: np.round(xy, 2).tolist() for c, xy in pairs
            }
    return {"classes": list(classes), "labels": found.label[drawn].tolist(), "points": points}


def _compactness(found: Embedded) -> dict[str, Any]:
    """Of all clips, by stage, modality and condition."""
    values: dict[str, Any] = {}
    for stage, modality, groups in _spaces(found):
        of = {condition: compactness(group, found.label) for condition, group in groups.items()}
        values.setdefault(stage, {})[modality] = of
    return values


def _spaces(found: Embedded) -> list[tuple[Stage, Modality, dict[str, Array]]]:
    """The embeddings that lie in one space: a modality's, clean and under the conditions that change it."""
    spaces = []
    for stage in STAGES:
        for modality in MODALITIES:
            groups = {
                c: found.values[stage, modality, c]
                for c in CONDITIONS
                if (stage, modality, c) in found.values and (c == "clean" or modality in c)
            }
            if groups:
                spaces.append((stage, modality, groups))
    return spaces


def _cosines(found: Mapping[float, Embedded], model: AVClassifier) -> dict[str, Any]:
    """By stage and condition the mean and the deviation over clips of the audio-visual cosine, from eps 0 on."""
    if not comparable_embeddings(model):
        fusion = model.fusion
        sizes = (
            f"embeddings of {fusion.audio_dim} numbers for audio and {fusion.visual_dim} for video"
        )
        return {
            "left_out": f"no cosine: {sizes if len(fusion.uses) == 2 else f'the model has {fusion.uses[0]} alone'}"
        }
    first = next(iter(found.values()))
    stages: dict[str, Any] = {}
    for stage in STAGES:
        if (stage, "audio", "clean") in first.values:
            conditions = [c for c in CONDITIONS[1:] if (stage, "audio", c) in first.values]
            stages[stage] = {
                c: [
                    _cosine(first, stage, "clean"),
                    *(_cosine(one, stage, c) for one in found.values()),
                ]
                for c in conditions
            }
    return {"eps": [0.0, *found], "stages": stages}


def _cosine(found: Embedded, stage: Stage, condition: str) -> tuple[float, float]:
    pair = (torch.from_numpy(found.values[stage, modality, condition]) for modality in MODALITIES)
    values = cosine(Features(*pair))
    return round(float(values.mean()), 4), round(float(values.std(correction=0)), 4)
