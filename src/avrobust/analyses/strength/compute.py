"""How strong an attack has to be: the smallest budget that fools each clip, alone and together.

A clip that is fooled within a budget is fooled within every larger one, as what fooled it is
allowed there too. That a clip which withstands a budget withstands all smaller ones as well is
taken for granted, to save work; so what is found is the smallest budget *found* to fool, and
accuracies are at most too high, as with any attack.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    """The smallest budgets found to fool each of N clips, in levels of 1 / L of the largest one; level 0 is clean."""

    keys: tuple[str, ...]
    alone: dict[
        str, Tensor
    ]  # of each condition (N,) int64 in 0 ... L, L + 1 where nothing fooled it
    levels: int  # L of those
    surface: Tensor  # (N, G + 1) int64: by level of the audio budget the first of the visual one; G + 1 where none
    grid: int  # G of that


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
    """The smallest budgets within which an attack fools a model: of audio, of video, of both, and their trade.

    Args:
        model: as `evaluate` takes it.
        batches: clips with labels and keys.
        attack: bounded; run log2(levels) + 1 times on each clip and condition, and at most 2 * grid
            + 1 times for the surface.
        largest: the budgets of both modalities at which the search ends.
        levels: into how many equal steps they are cut for one modality, and for both at the same
            share.
        grid: likewise for every pair of an audio and a visual budget.
        objectives: what the attacker tries to maximize, one after the other.
        seed: of the attack's random draws.
        device: where the model lives.

    Raises:
        UserError: the attack keeps to no budget, or a budget is missing.
        BudgetExceededError: the attack left its budget.
    """
    if not attack.bounded or None in largest.budgets:
        raise UserError(
            "a smallest budget needs an attack that keeps to budgets, and a largest budget of each modality"
        )
    keys: list[str] = []
    parts: dict[str, list[Tensor]] = {condition: [] for condition in ATTACKED}
    surface = []
    with eval_mode(model):
        for batch in batches:
            if batch.key:
                clips = _Clips(model, batch, attack, objectives, seed, device)
                clean = clips.fooled(torch.arange(len(batch.key)), Threat())
                for condition, found in parts.items():
                    shares = [i / levels for i in range(levels + 1)]
                    found.append(
                        _first(
                            clips,
                            [_scaled(largest.only(ATTACKED[condition]), s) for s in shares],
                            clean,
                        )
                    )
                surface.append(_frontier(clips, largest, grid, clean))
                keys += batch.key
    alone = {condition: torch.cat(found) for condition, found in parts.items()}
    return Strength(tuple(keys), alone, levels, torch.cat(surface), grid)


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
        found = torch.zeros(len(index), dtype=torch.bool)
        for objective in self.objectives:
            left = (~found).nonzero().squeeze(1)
            if len(left):
                found[left] = self._once(index[left], threat, objective)
        return found

    def _once(self, index: Tensor, threat: Threat, objective: Objective) -> Tensor:
        there = index.to(self.label.device)
        clip, label, keys = (
            take(self.clip, there),
            self.label[there],
            [self.keys[i] for i in index.tolist()],
        )
        generators = [generator(self.seed, "strength", key) for key in keys]
        x = self.attack(self.model, clip, label, threat, generators=generators, objective=objective)
        check_budget(type(self.attack).__name__, x, threat.distances(x, clip), threat, keys)
        with torch.no_grad():
            logits = self.model(x)
        return wrong(logits, label).cpu()


def _first(clips: _Clips, threats: Sequence[Threat], clean: Tensor) -> Tensor:
    """The first of ever larger threats that fools each clip, by bisection: (B,) int64, len(threats) if none does.

    Args:
        clips: B of them.
        threats: the first of them is none.
        clean: whether the model errs without an attack, (B,) bool.
    """
    none, last = len(threats), len(threats) - 1
    low = torch.zeros(len(clean), dtype=torch.int64)  # withstood
    high = torch.where(clean, 0, none)  # found to fool
    standing = (~clean).nonzero().squeeze(1)
    if len(standing):
        fell = clips.fooled(standing, threats[last])
        high[standing[fell]], low[standing[~fell]] = last, last
    while len(between := (high - low > 1).nonzero().squeeze(1)):
        middle = ((low + high) // 2)[between]
        for level in sorted(set(middle.tolist())):
            index = between[middle == level]
            fell = clips.fooled(index, threats[level])
            high[index[fell]], low[index[~fell]] = level, level
    return high


def _frontier(clips: _Clips, largest: Threat, grid: int, clean: Tensor) -> Tensor:
    """By level of the audio budget the first level of the visual one that fools each clip: (B, grid + 1) int64.

    Along the frontier alone: with more budget for the sound a clip never needs more for the frames.
    """
    withstood = torch.where(
        clean, -1, grid
    )  # the largest visual level at which it may stand, given the audio level
    columns = []
    for i, j in _cells(grid):
        index = (withstood == j).nonzero().squeeze(1)
        if len(index) and (i, j) != (0, 0):
            threat = Threat(_share(largest.audio, i / grid), _share(largest.visual, j / grid))
            withstood[index[clips.fooled(index, threat)]] = j - 1
        if j == 0:
            columns.append(withstood + 1)
    return torch.stack(columns, 1)


def _cells(grid: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(grid + 1) for j in range(grid, -1, -1))


def _scaled(largest: Threat, share: float) -> Threat:
    return Threat(_share(largest.audio, share), _share(largest.visual, share))


def _share(budget: Budget | None, share: float) -> Budget | None:
    return replace(budget, eps=budget.eps * share) if budget and share else None


class Interaction(NamedTuple):
    """What attacking both modalities does beyond one, over all pairs of budgets: (G + 1, G + 1) each, audio first.

    Shares in percent of all clips, on the same clips.
    """

    accuracy: Tensor  # recognized still
    gain: Tensor  # fooled by both, less fooled by the better single attack of the same budget
    neither: Tensor  # fooled by both together and by neither alone
    saved_by_visual: (
        Tensor  # fooled by both and not by the sound alone: the intact video saves them
    )
    saved_by_audio: (
        Tensor  # fooled by both and not by the frames alone: the intact sound saves them
    )
    unsaved: Tensor  # recognized clean, and fooled by either alone: whichever modality is intact is no help


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
