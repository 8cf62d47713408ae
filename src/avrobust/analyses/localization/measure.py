"""From the response maps of a run's model to the numbers and pictures that are kept."""

from typing import NamedTuple

import torch
from torch import Tensor

from avrobust.analyses.base import Subject
from avrobust.analyses.localization.analysis import LocalizeSettings
from avrobust.analyses.localization.compute import (
    Responses,
    area_under_curve,
    guess,
    overlap,
    peaks,
    pointed,
    respond,
    scaled,
)
from avrobust.analyses.localization.outcome import (
    BASELINES,
    AttackedResponses,
    BaselineScores,
    LocalizeOutcome,
    PlaceScores,
    ResponseScores,
    ShownClip,
    ShownPrediction,
)
from avrobust.analyses.localization.pictures import write_pictures
from avrobust.data.boxes import Box, sample_boxes
from avrobust.data.mosaic import Mosaics, in_mosaic
from avrobust.evaluation.metrics import share
from avrobust.tasks.examples import Examples
from avrobust.types import Record
from avrobust.utils.console import track
from avrobust.utils.format import condition_words

ENOUGH = 0.5  # of cIoU: the source counts as found


class Truth(NamedTuple):
    """The true places of the M clips that have one."""

    boxes: Tensor  # (M, 4)
    rows: Tensor  # (M,) int64: which of the N clips
    side: int  # of the pictures, in pixels


def analyze(subject: Subject, settings: LocalizeSettings) -> LocalizeOutcome:
    """Attacks the model of a run again and follows its response maps; writes localize.npz.

    A defended model is attacked on the objective by which the paper would.
    """
    shares = [(level + 1) / settings.levels for level in range(settings.levels)]
    # The same clips are kept for all runs on a split.
    kept = Examples(subject.batches.keys, settings.examples)
    levels = [_responses(subject, settings, share, kept) for share in shares]
    whole = levels[-1]
    clean, *attacked = whole.values()
    truth = _truth(subject, clean.records, settings.mosaic)
    write_pictures(subject.folder, whole, kept, truth.rows, truth.boxes)
    by_condition = []
    for responses in attacked:
        condition = responses.condition
        scores = [_scores(level[condition.name], clean, truth) for level in levels]
        words = condition_words(condition)
        by_condition.append(
            AttackedResponses(condition.name, condition.title, words, tuple(scores))
        )
    height, width = clean.maps.shape[1:]
    return LocalizeOutcome(
        n=len(clean.records),
        boxes=len(truth.rows),
        objective=subject.paper_attack.name,
        mosaic=settings.mosaic,
        eps=subject.eps,
        shares=tuple(shares),
        map_size=(height, width),
        clean=_scores(clean, clean, truth),
        attacked=tuple(by_condition),
        baselines=tuple(_baselines(clean, truth)),
        shown=tuple(_shown_clips(whole, kept, subject.data.classes)),
    )


def _responses(
    subject: Subject, settings: LocalizeSettings, share: float, kept: Examples
) -> dict[str, Responses]:
    """The responses under the attacks at one share of the budgets; clips are kept at the whole."""
    names = settings.conditions or list(subject.suite)
    suite = {name: subject.suite[name] for name in names}
    batches, paper = subject.batches, subject.paper_attack
    clips = subject.data.clips(subject.result.settings.split)
    shown = Mosaics(batches, clips, subject.seed) if settings.mosaic else batches
    return respond(
        subject.model,
        track(shown, f"responses at {share:.0%} of eps", len(batches)),
        paper.attack,
        scaled(suite, share),
        objective=paper.objective,
        seed=subject.seed,
        device=subject.device,
        observe=kept.keep if share == 1 else None,
    )


def _truth(subject: Subject, records: list[Record], mosaic: bool) -> Truth:
    """The boxes of the clips that have one.

    In mosaics of a data set without boxes the clip's own picture is the box.
    """
    rows = {record.key: row for row, record in enumerate(records)}
    clips = subject.data.clips(subject.result.settings.split)
    entries = [entry for entry in clips.entries if entry.key in rows]
    boxes = sample_boxes(clips.root, entries, clips.form)
    side = clips.form.image_size
    if mosaic:
        side *= 2
        if not boxes:
            boxes = {entry.key: Box(0, 0, 1, 1) for entry in entries}
        boxes = {key: in_mosaic(box, key, subject.seed) for key, box in boxes.items()}
    positions = torch.tensor([rows[key] for key in boxes], dtype=torch.int64)
    return Truth(torch.tensor(list(boxes.values())).view(-1, 4), positions, side)


def _scores(responses: Responses, clean: Responses, truth: Truth) -> ResponseScores:
    n = len(responses.records)
    return ResponseScores(
        recognized=share(sum(record.correct for record in responses.records), n),
        moved=share(int((peaks(responses.maps) != peaks(clean.maps)).sum()), n),
        places=_place_scores(responses.maps, truth) if len(truth.rows) else None,
    )


def _baselines(clean: Responses, truth: Truth) -> list[BaselineScores]:
    """The scores of guesses on the clips that have a box."""
    if not len(truth.rows):
        return []
    keys = [record.key for record in clean.records]
    height, width = clean.maps.shape[1:]
    scores = []
    for name in BASELINES:
        places = _place_scores(guess(name, keys, (height, width), truth.side), truth)
        if name == "whole":
            places = PlaceScores(None, places.ciou, places.auc)  # it has no peak
        scores.append(BaselineScores(name, places))
    return scores


def _place_scores(maps: Tensor, truth: Truth) -> PlaceScores:
    """How well maps (N, ...) fit the true places."""
    with_box, count = maps[truth.rows], len(truth.rows)
    ciou = overlap(with_box, truth.boxes, truth.side)
    return PlaceScores(
        pointing=share(int(pointed(with_box, truth.boxes).sum()), count),
        ciou=share(int((ciou >= ENOUGH).sum()), count),
        auc=100 * area_under_curve(ciou),
    )


def _shown_clips(
    responses: dict[str, Responses], kept: Examples, classes: list[str]
) -> list[ShownClip]:
    """What the model takes the kept clips for."""
    records: dict[str, list[tuple[str, Record]]] = {}  # by key, with the condition in words
    for one in responses.values():
        for record in one.records:
            records.setdefault(record.key, []).append((condition_words(one.condition), record))
    shown = []
    for key in kept.keys:
        predictions = []
        for words, record in records.get(key, []):
            predicted = classes[record.prediction]
            predictions.append(ShownPrediction(words, predicted, record.confidence))
            label = classes[record.label]
        if predictions:
            shown.append(ShownClip(key, label, tuple(predictions)))
    return shown
