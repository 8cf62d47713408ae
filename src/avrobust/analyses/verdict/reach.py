"""Which modalities can change a model's output within a budget: no other can be attacked."""

from dataclasses import replace

import torch
from torch import Tensor

from avrobust.attacks.problem import Problem
from avrobust.types import Clip, Modality

CORNERS = 3  # random ones, beside the darkest and the brightest
ROUNDING = 1e-6  # of the largest logit: what float32 may change by itself


def moving(problem: Problem) -> tuple[Modality, ...]:
    """The modalities that change the output for some clip.

    Every value of one modality moves by plus or minus eps, at random and all in one direction. An
    output that keeps its logits in all these corners does not depend on what is within the budget,
    for example because the input is rounded. A model that gives equal logits to different clips
    shows nothing in this way, so all modalities count as moving there.
    """
    clean = problem.logits(problem.clip)
    modalities = problem.threat.modalities
    if _coarse(clean):
        return modalities
    return tuple(modality for modality in modalities if _moves(problem, clean, modality))


def _coarse(logits: Tensor) -> bool:
    """Whether most clips have the same gap between the two largest logits."""
    largest = logits.topk(2).values
    gap = largest[:, 0] - largest[:, 1]
    return len(gap) > 1 and len(set(gap.tolist())) <= len(gap) / 2


def _moves(problem: Problem, clean: Tensor, modality: Modality) -> bool:
    alone = replace(problem, threat=problem.threat.only((modality,)))
    tolerance = ROUNDING * clean.abs().amax()
    for number in range(CORNERS + 2):
        signs = []
        for part in problem.clip:
            signs.append(_signs(part, number))
        corner = alone.step(problem.clip, Clip(*signs), 1.0)
        change = (problem.logits(corner) - clean).abs().amax()
        if not change <= tolerance:  # NaN moves
            return True
    return False


def _signs(part: Tensor, number: int) -> Tensor:
    if number < 2:
        return torch.full_like(part, 1.0 - 2 * number)
    draw = torch.Generator().manual_seed(number)
    signs = 2 * torch.randint(0, 2, part.shape, generator=draw, dtype=torch.int8) - 1
    return signs.to(part)
