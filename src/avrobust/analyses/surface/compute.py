"""The smallest budgets within which an attack fools each clip, alone and together.

A clip that is fooled within a budget counts as fooled within every larger one, as the same
adversarial clip is allowed there too. A clip that withstands a budget is assumed to withstand all
smaller ones, which saves most of the work. The result is therefore the smallest budget *found*, and
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
from avrobust.types import MODALITIES, Batch, Classifier, Modality
from avrobust.utils.randomness import generator

PURPOSE = "strength"  # of the random draws
ATTACKED: tuple[tuple[Modality, ...], ...] = (("audio",), ("visual",), MODALITIES)


class SmallestBudgets(NamedTuple):
    """The smallest budgets found to fool each of N clips, in equal steps of the largest ones."""

    keys: tuple[str, ...]
    # By attacked modalities, at the same share of their budgets, the first of L levels that fools
    # the clip: (N,) int64 in 0 ... L; 0 without an attack, L + 1 where no level does.
    first_level: dict[tuple[Modality, ...], Tensor]
    levels: int  # L
    # By level of the audio budget the first level of the visual budget that fools the clip:
    # (N, G + 1) int64; G + 1 where no level does.
    frontier: Tensor
    grid: int  # G


def smallest_budgets(
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
) -> SmallestBudgets:
    """The smallest budgets within which an attack fools a model: audio, video, both, any mixture.

    Args:
        model: any callable from Clip to logits (B, C). A module is evaluated in eval mode and left
            as it was.
        batches: clips with labels and keys; audio in [-1, 1], frames in [0, 1].
        attack: bounded; run log2(levels) + 1 times on each clip and set of modalities, and at most
            2 * grid + 1 times for the surface.
        largest: the budgets of both modalities at which the search ends.
        levels: into how many equal steps they are cut for one modality, and for both at the same
            share.
        grid: likewise for every pair of an audio and a visual budget.
        objectives: what the attacker tries to maximize, one after the other.
        seed: of the attack's random draws, which also depend on the clip's key.
        device: where the model is.

    Raises:
        UserError: the attack keeps to no budget, or a budget is missing.
        BudgetExceededError: the attack left its budget.
    """
    if not attack.bounded or largest.modalities != MODALITIES:
        raise UserError(
            "a smallest budget needs an attack that keeps to budgets, "
            "and a largest budget of each modality"
        )
    keys: list[str] = []
    first_level: dict[tuple[Modality, ...], list[Tensor]] = {chosen: [] for chosen in ATTACKED}
    frontier = []
    with eval_mode(model):
        for batch in batches:
            if not batch.key:
                continue
            clips = _AttackedClips(model, batch, attack, objectives, seed, device)
            clean_error = clips.fooled(torch.arange(len(batch.key)), Threat())
            for modalities, parts in first_level.items():
                threat = largest.only(modalities)
                threats = [_scaled(threat, level / levels) for level in range(levels + 1)]
                parts.append(_first_that_fools(clips, threats, clean_error))
            frontier.append(_frontier(clips, largest, grid, clean_error))
            keys += batch.key
    joined = {modalities: torch.cat(parts) for modalities, parts in first_level.items()}
    return SmallestBudgets(tuple(keys), joined, levels, torch.cat(frontier), grid)


@final
class _AttackedClips:
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
            left = (~fooled).nonzero().squeeze(1)
            if len(left):
                fooled[left] = self._fooled_by(objective, index[left], threat)
        return fooled

    def _fooled_by(self, objective: Objective, index: Tensor, threat: Threat) -> Tensor:
        on_device = index.to(self.label.device)
        clip, label = take(self.clip, on_device), self.label[on_device]
        keys = [self.keys[i] for i in index.tolist()]
        # The same draws within every threat.
        generators = [generator(self.seed, PURPOSE, key) for key in keys]
        x = self.attack(self.model, clip, label, threat, generators=generators, objective=objective)
        check_budget(type(self.attack).__name__, x, threat.distances(x, clip), threat, keys)
        with torch.no_grad():
            logits = self.model(x)
        return wrong(logits, label).cpu()


def _first_that_fools(
    clips: _AttackedClips, threats: Sequence[Threat], clean_error: Tensor
) -> Tensor:
    """Finds the first of ever larger threats that fools each clip, by bisection.

    Args:
        clips: B of them.
        threats: the first of them allows nothing.
        clean_error: whether the model errs without an attack, (B,) bool.

    Returns:
        Positions in `threats`, (B,) int64; their number where no threat fools the clip.
    """
    last = len(threats) - 1
    withstood = torch.zeros(len(clean_error), dtype=torch.int64)
    fooled_at = torch.where(clean_error, 0, len(threats))
    recognized = (~clean_error).nonzero().squeeze(1)
    if len(recognized):
        fooled = clips.fooled(recognized, threats[last])
        fooled_at[recognized[fooled]], withstood[recognized[~fooled]] = last, last
    while len(between := (fooled_at - withstood > 1).nonzero().squeeze(1)):
        middle = ((withstood + fooled_at) // 2)[between]
        for level in sorted(set(middle.tolist())):
            index = between[middle == level]
            fooled = clips.fooled(index, threats[level])
            fooled_at[index[fooled]], withstood[index[~fooled]] = level, level
    return fooled_at


def _frontier(clips: _AttackedClips, largest: Threat, grid: int, clean_error: Tensor) -> Tensor:
    """By level of the audio budget the first visual level that fools each clip: (B, grid + 1).

    The search walks along the frontier alone: with a larger audio budget a clip never needs a
    larger visual one.
    """
    # The largest visual level that the clip may withstand at the current audio level.
    withstood = torch.where(clean_error, -1, grid)
    columns = []
    for audio_level, visual_level in _cells(grid):
        index = (withstood == visual_level).nonzero().squeeze(1)
        if len(index) and (audio_level, visual_level) != (0, 0):
            audio = _share(largest.audio, audio_level / grid)
            visual = _share(largest.visual, visual_level / grid)
            fooled = clips.fooled(index, Threat(audio, visual))
            withstood[index[fooled]] = visual_level - 1
        if visual_level == 0:
            columns.append(withstood + 1)
    return torch.stack(columns, 1)


def _cells(grid: int) -> Iterator[tuple[int, int]]:
    """Pairs of an audio and a visual level: the audio level grows, the visual one falls."""
    for audio_level in range(grid + 1):
        for visual_level in range(grid, -1, -1):
            yield audio_level, visual_level


def _scaled(largest: Threat, share: float) -> Threat:
    return Threat(_share(largest.audio, share), _share(largest.visual, share))


def _share(budget: Budget | None, share: float) -> Budget | None:
    """A share of a budget; None, which leaves the modality untouched, for a share of 0."""
    return replace(budget, eps=budget.eps * share) if budget and share else None
