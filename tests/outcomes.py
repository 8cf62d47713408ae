"""Outcomes of analyses that nobody ran, for tests of what the report makes of them."""

from pathlib import Path

import numpy as np

from avrobust.analyses.embeddings.outcome import (
    Cloud,
    CosineCurve,
    EmbeddingsOutcome,
    EmbeddingSpace,
    MeanCosine,
    Stage,
)
from avrobust.analyses.localization.analysis import ANALYSIS as LOCALIZE
from avrobust.analyses.localization.outcome import (
    AttackedResponses,
    BaselineScores,
    LocalizeOutcome,
    PlaceScores,
    ResponseScores,
    ShownClip,
    ShownPrediction,
)
from avrobust.analyses.localization.pictures import FILE
from avrobust.analyses.outcomes import write_outcome
from avrobust.evaluation.metrics import Compactness, Share
from avrobust.types import MODALITIES, ConditionInfo, Modality
from avrobust.utils.format import condition_words
from tests.results import STANDARD

SHARE = Share(50.0, 40.0, 60.0, 9)
SQUARE = ((0.0, 0.0), (0.0, 4.0), (2.0, 0.0), (2.0, 4.0))  # t-SNE of four clips


def embeddings_outcome(
    classes: tuple[str, ...] = ("bell", "drum"), *, stages: tuple[Stage, ...] = ("encoded",)
) -> EmbeddingsOutcome:
    """The embeddings of four clips, the same under every condition."""
    spaces, cosines = [], []
    for stage in stages:
        spaces += [_space(stage, modality) for modality in MODALITIES]
        for condition in STANDARD[1:]:
            means = (
                MeanCosine(0.0, 0.5, 0.1),
                MeanCosine(0.006, 0.25, 0.1),
                MeanCosine(0.012, 0.0, 0.2),
            )
            cosines.append(CosineCurve(stage, condition.name, condition_words(condition), means))
    return EmbeddingsOutcome(
        n=4,
        eps=0.006,
        accuracy={condition.name: 50.0 for condition in STANDARD},
        classes=classes,
        labels=(0, 0, 1, 1),
        spaces=tuple(spaces),
        cosines=tuple(cosines),
        no_cosine="",
    )


def _space(stage: Stage, modality: Modality) -> EmbeddingSpace:
    clouds = []
    for condition in STANDARD:
        if condition.clean or modality in condition.modalities:
            clouds.append(_cloud(condition))
    return EmbeddingSpace(stage, modality, tuple(clouds))


def _cloud(condition: ConditionInfo) -> Cloud:
    words, compactness = condition_words(condition), Compactness(0.5, 0.25)
    return Cloud(condition.name, words, condition.modalities, compactness, SQUARE)


def put_localize(folder: Path, label: str) -> None:
    """Gives a finished run sound sources of one clip, whose class has this name."""
    predictions = [ShownPrediction(condition_words(one), label, 0.5) for one in STANDARD]
    scores = ResponseScores(SHARE, SHARE, PlaceScores(SHARE, SHARE, 50.0))
    attacked = []
    for condition in STANDARD[1:]:
        words = condition_words(condition)
        attacked.append(AttackedResponses(condition.name, condition.title, words, (scores, scores)))
    outcome = LocalizeOutcome(
        n=9,
        boxes=9,
        objective="cross_entropy",
        mosaic=True,
        eps=0.006,
        shares=(0.5, 1.0),
        map_size=(2, 2),
        clean=scores,
        attacked=tuple(attacked),
        baselines=(BaselineScores("center", PlaceScores(SHARE, SHARE, 50.0)),),
        shown=(ShownClip(f"{label}/0", label, tuple(predictions)),),
    )
    write_outcome(LOCALIZE, folder, outcome)
    np.savez(
        folder / FILE,
        keys=np.array([f"{label}/0"]),
        conditions=np.array([condition.name for condition in STANDARD]),
        frames=np.zeros((1, 4, 3, 8, 8), np.uint8),
        maps=np.random.default_rng(0).random((1, 4, 2, 2), np.float32),
        boxes=np.array([[0.1, 0.1, 0.5, 0.5]], np.float32),
    )
