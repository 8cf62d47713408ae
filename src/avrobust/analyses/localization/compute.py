"""Where a model takes the sound to come from, clean and under attack, and how well that fits the true place."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.data.sampling import center_index
from avrobust.evaluation.evaluate import Watcher, evaluate
from avrobust.models.classifier import AVClassifier
from avrobust.threats import Threat
from avrobust.types import Batch, Clip, ConditionInfo, Record
from avrobust.utils.randomness import generator

THRESHOLD = 0.5  # of a response scaled to [0, 1], above which a pixel counts as the source
STEPS = 20  # of the cIoU that AUC is taken over

Baseline = Literal["center", "whole", "random"]
BASELINES: tuple[Baseline, ...] = ("center", "whole", "random")


class Responses(NamedTuple):
    """What a model said of N clips under one condition and share of the budgets."""

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
    watch: Watcher | None = None,
) -> dict[str, Responses]:
    """The response maps of a model whose fusion has them, clean and under each threat of `suite`.

    Args:
        model: with a MapFusion.
        batches: as `evaluate` takes them, and all the rest.
        attack: see `evaluate`; it attacks recognition, and what that does to the maps is looked at.
        suite: see `evaluate`.
        objective: see `evaluate`.
        seed: see `evaluate`.
        device: see `evaluate`.
        watch: see `evaluate`.
    """
    maps = _Maps(model, watch)
    records = evaluate(
        model,
        batches,
        attack,
        suite,
        objective=objective,
        seed=seed,
        device=device,
        watch=maps.look,
    )
    found: dict[str, Responses] = {}
    for condition, parts in maps.found.items():
        found[condition] = Responses(
            torch.cat(parts), [r for r in records if r.condition == condition]
        )
    return found


@final
class _Maps:
    """A watcher of `evaluate` that asks where the model looks."""

    def __init__(self, model: AVClassifier, watch: Watcher | None) -> None:
        self.model, self.watch = model, watch
        self.found: dict[str, list[Tensor]] = {}

    @torch.no_grad()
    def look(self, batch: Batch, condition: ConditionInfo, clip: Clip) -> None:
        response = self.model.response(clip)  # (B, T, h, w)
        self.found.setdefault(condition.name, []).append(
            response[:, center_index(response.shape[1])].float().cpu()
        )
        if self.watch:
            self.watch(batch, condition, clip)


def scaled(suite: Mapping[str, Threat], share: float) -> dict[str, Threat]:
    """The same threats with a share of each eps."""
    return {condition: threat.scaled(share) for condition, threat in suite.items()}


def pointed(maps: Tensor, boxes: Tensor) -> Tensor:
    """Whether each map's largest place has its middle in the box: (N,) bool. The pointing game, Zhang et al. 2018.

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
    """The cIoU of each map and its box, (N,) in [0, 1]. Senocak et al. 2018 (CVPR), with one annotator.

    The map is enlarged to the picture (bilinear) and scaled to [0, 1]; what lies above 0.5 is the
    source. With one box the consensus of annotators is the box itself, and cIoU the intersection
    over the union.

    Args:
        maps: (N, h, w).
        boxes: (N, 4), x0, y0, x1, y1 as shares of the picture's sides.
        side: of the picture, in pixels; a pixel is in the box if its middle is.
    """
    large = F.interpolate(
        maps.unsqueeze(1), (side, side), mode="bilinear", align_corners=False
    ).squeeze(1)
    least, most = (f(large.flatten(1), 1).view(-1, 1, 1) for f in (torch.amin, torch.amax))
    source = (large - least > THRESHOLD * (most - least)) | (
        most == least
    )  # a level map points everywhere
    middles = (torch.arange(side) + 0.5) / side
    x0, y0, x1, y1 = (edge.view(-1, 1) for edge in boxes.unbind(1))
    across, down = (
        (low <= middles) & (middles <= high) for low, high in ((x0, x1), (y0, y1))
    )  # (N, side)
    true = down.unsqueeze(2) & across.unsqueeze(1)  # (N, side, side)
    return (source & true).flatten(1).sum(1) / (source | true).flatten(1).sum(1)


def area_under_curve(ciou: Tensor) -> float:
    """The area under the share of clips with a cIoU of at least 0, 0.05, ... 1, in [0, 1]. Senocak et al. 2018."""
    thresholds = torch.arange(STEPS + 1) / STEPS
    success = (ciou.unsqueeze(1) >= thresholds).float().mean(0)
    return float(torch.trapezoid(success, thresholds))


def guess(
    baseline: Baseline, keys: Sequence[str], size: tuple[int, int], side: int, seed: int = 0
) -> Tensor:
    """What one says of the source without looking or listening, as maps (N, ...).

    Args:
        baseline: "center", whose source is a square in the middle of half the side; "whole", the
            whole picture; "random", drawn from the seed and the clip's key.
        keys: of the N clips.
        size: of the model's maps, (h, w).
        side: of the picture, in pixels.
        seed: of "random".
    """
    if baseline == "random":
        return torch.stack(
            [torch.rand(size, generator=generator(seed, "guess", key)) for key in keys]
        )
    if baseline == "whole":
        return torch.ones(len(keys), *size)
    away = ((torch.arange(side) + 0.5) / side - 0.5).abs()
    return (1 - torch.maximum(away.unsqueeze(0), away.unsqueeze(1))).expand(len(keys), side, side)
