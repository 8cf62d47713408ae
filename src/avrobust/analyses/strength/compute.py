"""The smallest budget that fools a model on each clip: of sound, of video, and of both together.

A clip that is fooled within a budget is fooled within every larger one, which allows the same
perturbation. To save work, the search also assumes that a clip which withstands a budget withstands
all smaller ones. Its result is therefore the smallest budget that it found, and accuracies are at
most too high, as with any attack.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, final

import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy, wrong
from avrobust.attacks.problem import take
from avrobust.errors import UserError
from avrobust.evaluation.checks import check_budget
from avrobust.models.classifier import eval_mode
from avrobust.threats import Budget, Threat
from avrobust.types import Batch, Classifier, Modality
from avrobust.utils.randomness import generator

# The modalities that are attacked, by the name of the condition.
ATTACKED: dict[str, tuple[Modality, ...]] = {
    "audio": ("audio",),
    "visual": ("visual",),
    "audiovisual": ("audio", "visual"),
}


class Strength(NamedTuple):
    """The smallest budgets that were found to fool each of N clips; level 0 is the clean clip.

    Attributes:
        keys: of the clips.
        alone: for each condition the level in 0 ... L, (N,) int64, in steps of 1 / L of the largest
            budget; L + 1 where no budget fooled the model.
        levels: L.
        surface: for each level of the audio budget the smallest level in 0 ... G of the visual one
            that fools the model, (N, G + 1) int64; G + 1 where no level does.
        grid: G.
    """

    keys: tuple[str, ...]
    alone: dict[str, Tensor]
    levels: int
    surface: Tensor
    grid: int


def strength(
    model: Classifier,
    batches: Iterable[Batch],
    attack: Attack,
    largest: Threat,
    *,
    levels: int = 16,
    grid: int = 8,
    objectives: Sequence[Objective] = (cross_entropy,),
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Strength:
    """The smallest budgets within which an attack fools a model: of audio, of video and of both.

    Args:
        model: any callable from Clip to logits (B, C).
        batches: clips with labels and keys.
        attack: a bounded one. It runs log2(levels) + 1 times on each clip and condition, and at
            most 2 * grid + 1 times for the surface.
        largest: the budgets of both modalities at which the search ends.
        levels: number of equal steps that they are cut into, for one modality alone and for both
            at the same share.
        grid: number of equal steps for the pairs of an audio and a visual budget.
        objectives: the losses that the attack maximizes, one after the other.
        seed: of the attack's random draws.
        device: where the model is.

    Raises:
        UserError: the attack keeps to no budget, or a budget is missing.
        BudgetExceededError: the attack left its budget.
    """
    if not attack.bounded or None in largest.budgets:
        raise UserError(
            "a smallest budget needs an attack that keeps to budgets, "
            "and a largest budget of each modality"
        )
    threats: dict[str, list[Threat]] = {}
    for condition, modalities in ATTACKED.items():
        attacked = largest.only(modalities)
        threats[condition] = [_scaled(attacked, level / levels) for level in range(levels + 1)]
    keys: list[str] = []
    alone: dict[str, list[Tensor]] = {condition: [] for condition in ATTACKED}
    surface: list[Tensor] = []
    with eval_mode(model):
        for batch in batches:
            if not batch.key:
                continue
            clips = _Clips(model, batch, attack, objectives, seed, device)
            clean = clips.fooled(torch.arange(len(batch.key)), Threat())
            for condition, ladder in threats.items():
                alone[condition].append(_first(clips, ladder, clean))
            surface.append(_frontier(clips, largest, grid, clean))
            keys += batch.key
    joined = {condition: torch.cat(parts) for condition, parts in alone.items()}
    return Strength(tuple(keys), joined, levels, torch.cat(surface), grid)


@final
class _Clips:
    """The clips of one batch, each of which may be attacked within a threat of its own."""

    def __init__(
        self,
        model: Classifier,
        batch: Batch,
        attack: Attack,
        objectives: Sequence[Objective],
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.model, self.attack, self.objectives, self.seed = model, attack, objectives, seed
        self.clip, self.label, self.keys = batch.clip.to(device), batch.label.to(device), batch.key

    def fooled(self, index: Tensor, threat: Threat) -> Tensor:
        """Whether the attack fools the clips at `index` within a threat: (K,) bool, on the CPU."""
        fooled = torch.zeros(len(index), dtype=torch.bool)
        for objective in self.objectives:
            robust = (~fooled).nonzero().squeeze(1)
            if len(robust):
                fooled[robust] = self._attack(index[robust], threat, objective)
        return fooled

    def _attack(self, index: Tensor, threat: Threat, objective: Objective) -> Tensor:
        rows = index.to(self.label.device)
        clip, label = take(self.clip, rows), self.label[rows]
        keys = [self.keys[i] for i in index.tolist()]
        generators = [generator(self.seed, "strength", key) for key in keys]
        x = self.attack(self.model, clip, label, threat, generators=generators, objective=objective)
        check_budget(type(self.attack).__name__, x, threat.distances(x, clip), threat, keys)
        with torch.no_grad():
            logits = self.model(x)
        return wrong(logits, label).cpu()


def _first(clips: _Clips, threats: Sequence[Threat], clean: Tensor) -> Tensor:
    """The smallest of ever larger threats that fools each clip, by bisection.

    Args:
        clips: B of them.
        threats: in ascending order, the first of them without a budget.
        clean: whether the model errs without an attack, (B,) bool.

    Returns:
        The threat's position, (B,) int64; len(threats) where none fools the model.
    """
    none, last = len(threats), len(threats) - 1
    low = torch.zeros(len(clean), dtype=torch.int64)  # the largest level that was withstood
    high = torch.where(clean, 0, none)  # the smallest level that fooled the model
    recognized = (~clean).nonzero().squeeze(1)
    if len(recognized):
        fooled = clips.fooled(recognized, threats[last])
        high[recognized[fooled]], low[recognized[~fooled]] = last, last
    while len(open_ := (high - low > 1).nonzero().squeeze(1)):
        middle = ((low + high) // 2)[open_]
        for level in sorted(set(middle.tolist())):
            index = open_[middle == level]
            fooled = clips.fooled(index, threats[level])
            high[index[fooled]], low[index[~fooled]] = level, level
    return high


def _frontier(clips: _Clips, largest: Threat, grid: int, clean: Tensor) -> Tensor:
    """For each level of the audio budget the smallest visual level that fools each clip.

    Only the frontier is tried: with more budget for the sound a clip never needs more for the
    frames.

    Returns:
        (B, grid + 1) int64; grid + 1 where no visual level does.
    """
    # The largest visual level that a clip may withstand, given the audio level.
    withstood = torch.where(clean, -1, grid)
    columns = []
    for i in range(grid + 1):
        for j in range(grid, -1, -1):
            index = (withstood == j).nonzero().squeeze(1)
            if len(index) and (i, j) != (0, 0):
                threat = Threat(_share(largest.audio, i / grid), _share(largest.visual, j / grid))
                withstood[index[clips.fooled(index, threat)]] = j - 1
        columns.append(withstood + 1)
    return torch.stack(columns, 1)


def _scaled(largest: Threat, share: float) -> Threat:
    return Threat(_share(largest.audio, share), _share(largest.visual, share))


def _share(budget: Budget | None, share: float) -> Budget | None:
    return replace(budget, eps=budget.eps * share) if budget and share else None


class Interaction(NamedTuple):
    """What attacking both modalities does beyond attacking one, over all pairs of budgets.

    Percentages of all clips, (G + 1, G + 1) each, by audio level and visual level.

    Attributes:
        accuracy: clips still recognized.
        gain: clips fooled by both, minus clips fooled by the better single attack.
        neither: clips fooled by both together and by neither alone.
        saved_by_visual: clips fooled by both and not by the sound alone: the clean video helps.
        saved_by_audio: clips fooled by both and not by the frames alone: the clean sound helps.
        unsaved: clips recognized without an attack and fooled by either alone: neither clean
            modality helps.
    """

    accuracy: Tensor
    gain: Tensor
    neither: Tensor
    saved_by_visual: Tensor
    saved_by_audio: Tensor
    unsaved: Tensor


def interaction(surface: Tensor) -> Interaction:
    """The interaction of two modalities' attacks.

    Args:
        surface: of a `Strength`, (N, G + 1).
    """
    levels = torch.arange(surface.shape[1])
    both = surface[:, :, None] <= levels  # (N, audio, visual)
    audio, visual = both[:, :, :1].expand_as(both), both[:, :1, :].expand_as(both)
    clean_error = both[:, :1, :1]

    def percent(mask: Tensor) -> Tensor:
        return 100 * mask.double().mean(0)

    return Interaction(
        accuracy=percent(~both),
        gain=percent(both) - torch.maximum(percent(audio), percent(visual)),
        neither=percent(both & ~audio & ~visual),
        saved_by_visual=percent(both & ~audio),
        saved_by_audio=percent(both & ~visual),
        unsaved=percent(audio & visual & ~clean_error),
    )
