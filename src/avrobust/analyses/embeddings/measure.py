"""From the embeddings of a run's clips to the numbers that are kept."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from avrobust.analyses.base import Subject
from avrobust.analyses.embeddings.compute import ClipEmbeddings, embed_clips, tsne
from avrobust.analyses.embeddings.outcome import (
    STAGES,
    Cloud,
    CosineCurve,
    EmbeddingsOutcome,
    EmbeddingSpace,
    MeanCosine,
    Stage,
)
from avrobust.attacks.losses import comparable_embeddings, cosine
from avrobust.evaluation.metrics import compactness
from avrobust.models.classifier import AVClassifier
from avrobust.types import MODALITIES, ConditionInfo, Features, Modality
from avrobust.utils.arrays import Array
from avrobust.utils.console import track
from avrobust.utils.format import condition_words

SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)  # of the run's eps


def analyze(subject: Subject, eps: Sequence[float], drawn_clips: int) -> EmbeddingsOutcome:
    """Attacks the model of a run again and embeds the clips.

    Args:
        subject: the run.
        eps: the budgets beside the run's own at which cosines are taken; `SHARES` of the run's if
            there are none.
        drawn_clips: the most clips in a t-SNE; which ones depends on their keys alone.
    """
    budgets = eps or [share * subject.eps for share in SHARES]
    levels = sorted({subject.eps, *budgets} - {0.0})
    by_eps: dict[float, ClipEmbeddings] = {}
    fusion = subject.result.experiment.model.fusion.name
    for level in track(levels, f"embeddings of {fusion}", len(levels)):
        by_eps[level] = _embed(subject, level)
    embeddings = by_eps[subject.eps]
    # Which clips are drawn is the same for all runs on a split.
    order = sorted(range(len(embeddings.keys)), key=lambda i: _hash(embeddings.keys[i]))
    drawn = order[:drawn_clips]
    reason = no_cosine(subject.model)
    return EmbeddingsOutcome(
        n=len(embeddings.keys),
        eps=subject.eps,
        accuracy=embeddings.accuracy,
        classes=tuple(subject.data.classes),
        labels=tuple(embeddings.label[drawn].tolist()),
        spaces=tuple(_spaces(embeddings, drawn, subject.seed)),
        cosines=() if reason else tuple(_cosine_curves(by_eps)),
        no_cosine=reason,
    )


def no_cosine(model: AVClassifier) -> str:
    """Why audio and video embeddings of a model have no cosine; empty if they have one."""
    if comparable_embeddings(model):
        return ""
    fusion = model.fusion
    if len(fusion.uses) < 2:
        return f"no cosine: the model has {fusion.uses[0]} alone"
    audio, visual = fusion.audio_dim, fusion.visual_dim
    return f"no cosine: embeddings of {audio} numbers for audio and {visual} for video"


def _embed(subject: Subject, eps: float) -> ClipEmbeddings:
    suite = {}
    for name, threat in subject.suite.items():
        suite[name] = threat.scaled(eps / subject.eps)
    return embed_clips(
        subject.model,
        subject.batches,
        subject.attack,
        suite,
        objectives=list(subject.objectives.values()),
        seed=subject.seed,
        device=subject.device,
        cache=subject.cache,
    )


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _spaces(embeddings: ClipEmbeddings, drawn: Sequence[int], seed: int) -> list[EmbeddingSpace]:
    """A modality's embeddings, clean and under the conditions that change it, for each stage."""
    spaces = []
    for stage in STAGES:
        for modality in MODALITIES:
            groups: dict[ConditionInfo, Array] = {}
            for condition in embeddings.conditions:
                values = embeddings.values.get((stage, modality, condition.name))
                changed = condition.clean or modality in condition.modalities
                if values is not None and changed:
                    groups[condition] = values
            if groups:
                clouds = _clouds(groups, embeddings.label, drawn, seed)
                spaces.append(EmbeddingSpace(stage, modality, tuple(clouds)))
    return spaces


def _clouds(
    groups: Mapping[ConditionInfo, Array], label: Any, drawn: Sequence[int], seed: int
) -> list[Cloud]:
    chosen = list(drawn)
    coordinates = tsne([group[chosen] for group in groups.values()], seed)
    clouds = []
    for place, (condition, group) in enumerate(groups.items()):
        points = np.round(coordinates[place], 2).tolist() if coordinates else []
        clouds.append(
            Cloud(
                condition=condition.name,
                words=condition_words(condition),
                attacked=condition.modalities,
                compactness=compactness(group, label),
                points=tuple((x, y) for x, y in points),
            )
        )
    return clouds


def _cosine_curves(by_eps: Mapping[float, ClipEmbeddings]) -> list[CosineCurve]:
    """The audio-visual cosine by stage and condition, from eps 0 on."""
    first = next(iter(by_eps.values()))
    clean, *changing = first.conditions
    curves = []
    for stage in STAGES:
        if (stage, "audio", clean.name) not in first.values:
            continue
        for condition in changing:
            points = [_mean_cosine(0.0, first, stage, clean)]
            for eps, embeddings in by_eps.items():
                points.append(_mean_cosine(eps, embeddings, stage, condition))
            words = condition_words(condition)
            curves.append(CosineCurve(stage, condition.name, words, tuple(points)))
    return curves


def _mean_cosine(
    eps: float, embeddings: ClipEmbeddings, stage: Stage, condition: ConditionInfo
) -> MeanCosine:
    def part(modality: Modality) -> torch.Tensor:
        return torch.from_numpy(embeddings.values[stage, modality, condition.name])

    values = cosine(Features(part("audio"), part("visual")))
    mean, deviation = float(values.mean()), float(values.std(correction=0))
    return MeanCosine(eps, round(mean, 4), round(deviation, 4))
