"""Response maps of a model, clean and attacked, and how well they fit the true places."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.analyses.localization.outcome import Baseline
from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.data.sampling import center_index
from avrobust.evaluation.evaluate import Observer, evaluate
from avrobust.evaluation.summaries import by_condition
from avrobust.models.classifier import AVClassifier
from avrobust.threats import Threat
from avrobust.types import Batch, Clip, ConditionInfo, Record
from avrobust.utils.randomness import generator

THRESHOLD = 0.5  # of a response scaled to [0, 1], above which a pixel counts as the source
STEPS = 20  # of the cIoU that AUC is taken over


class Responses(NamedTuple):
    """What a model made of N clips under one condition and share of the budgets."""

    condition: ConditionInfo
    maps: Tensor  # (N, h, w), of the frame in the middle
    records: list[Record]  # N


def respond(
    model: AVClassifier,
    batches: Iterable[Batch],
    attack: Attack,
    suite: Mapping[str, Threat],
    *,
    objective: Objective = cross_entropy,
    seed: int = 0,
    device: torch.device | str = "cpu",
    observe: Observer | None = None,
) -> dict[str, Responses]:
    """The response maps of a model, clean and under each threat.

    The attack is on what the model recognizes; what it does to the maps is observed.

    Args:
        model: with a MapFusion.
        batches: clips with labels and keys.
        attack: how the clips are perturbed.
        suite: the threats by the name of their condition.
        objective: the loss that the attack maximizes.
        seed: of the attack's random draws.
        device: where the model is.
        observe: is called with every batch under every condition.

    Returns:
        By the name of the condition, clean first.
    """
    recorder = _MapRecorder(model, observe)
    records = evaluate(
        model,
        batches,
        attack,
        suite,
        objective=objective,
        seed=seed,
        device=device,
        observe=recorder.observe,
    )
    grouped = by_condition(records)
    responses = {}
    for condition, maps in recorder.maps.items():
        responses[condition.name] = Responses(condition, torch.cat(maps), grouped[condition.name])
    return responses


@final
class _MapRecorder:
    """Records the response maps of what `evaluate` shows its observer."""

    def __init__(self, model: AVClassifier, observe: Observer | None) -> None:
        self.model, self._observe = model, observe
        self.maps: dict[ConditionInfo, list[Tensor]] = {}  # (B, h, w) each

    @torch.no_grad()
    def observe(self, batch: Batch, condition: ConditionInfo, clip: Clip) -> None:
        """Records the maps of a batch."""
        response = self.model.response(clip)  # (B, T, h, w)
        middle = response[:, center_index(response.shape[1])]
        self.maps.setdefault(condition, []).append(middle.float().cpu())
        if self._observe:
            self._observe(batch, condition, clip)


def scaled(suite: Mapping[str, Threat], share: float) -> dict[str, Threat]:
    """The same threats with a share of each eps."""
    return {condition: threat.scaled(share) for condition, threat in suite.items()}


def pointed(maps: Tensor, boxes: Tensor) -> Tensor:
    """Whether the middle of each map's peak is in the box, (N,) bool. Zhang et al. 2018.

    This is the pointing game.

    Args:
        maps: (N, h, w); of equal places the first counts.
        boxes: (N, 4), x0, y0, x1, y1 as shares of the picture's sides.
    """
    height, width = maps.shape[1:]
    peak = peaks(maps)
    x, y = (peak % width + 0.5) / width, (peak // width + 0.5) / height
    x0, y0, x1, y1 = boxes.unbind(1)
    return (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)


def peaks(maps: Tensor) -> Tensor:
    """The largest place of each map (N, h, w), counted row by row: (N,) int64."""
    return maps.flatten(1).argmax(1)


def overlap(maps: Tensor, boxes: Tensor, side: int) -> Tensor:
    """The cIoU of each map and its box, (N,) in [0, 1]. Senocak et al. 2018 (CVPR).

    The map is enlarged to the picture (bilinear) and scaled to [0, 1]; the pixels above 0.5 are the
    source. With one annotator the consensus is the box itself, and cIoU is the intersection over
    the union.

    Args:
        maps: (N, h, w).
        boxes: (N, 4), x0, y0, x1, y1 as shares of the picture's sides.
        side: of the picture, in pixels; a pixel is in the box if its middle is.
    """
    size = (side, side)
    large = F.interpolate(maps.unsqueeze(1), size, mode="bilinear", align_corners=False).squeeze(1)
    least = large.flatten(1).amin(1).view(-1, 1, 1)
    most = large.flatten(1).amax(1).view(-1, 1, 1)
    # A level map points everywhere.
    source = (large - least > THRESHOLD * (most - least)) | (most == least)
    middles = (torch.arange(side) + 0.5) / side
    x0, y0, x1, y1 = (edge.view(-1, 1) for edge in boxes.unbind(1))
    across = (x0 <= middles) & (middles <= x1)  # (N, side)
    down = (y0 <= middles) & (middles <= y1)  # (N, side)
    in_box = down.unsqueeze(2) & across.unsqueeze(1)  # (N, side, side)
    return (source & in_box).flatten(1).sum(1) / (source | in_box).flatten(1).sum(1)


def area_under_curve(ciou: Tensor) -> float:
    """The area under the share of clips over thresholds of cIoU: [0, 1]. Senocak et al. 2018.

    The thresholds are 0, 0.05, ... 1; a clip counts where its cIoU is at least the threshold.
    """
    thresholds = torch.arange(STEPS + 1) / STEPS
    success = (ciou.unsqueeze(1) >= thresholds).float().mean(0)
    return float(torch.trapezoid(success, thresholds))


def guess(
    baseline: Baseline, keys: Sequence[str], size: tuple[int, int], side: int, seed: int = 0
) -> Tensor:
    """Response maps (N, ...) of a guess that neither looks nor listens.

    Args:
        baseline: "center", whose source is a square in the middle of half the side; "whole", the
            whole picture; "random", drawn from the seed and the clip's key.
        keys: of the N clips.
        size: of the model's maps, (h, w).
        side: of the picture, in pixels.
        seed: of "random".
    """
    if baseline == "random":
        draws = [torch.rand(size, generator=generator(seed, "guess", key)) for key in keys]
        return torch.stack(draws)
    if baseline == "whole":
        return torch.ones(len(keys), *size)
    distance = ((torch.arange(side) + 0.5) / side - 0.5).abs()
    largest = torch.maximum(distance.unsqueeze(0), distance.unsqueeze(1))
    return (1 - largest).expand(len(keys), side, side)
