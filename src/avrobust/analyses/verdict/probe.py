"""Watches how plain gradient attacks behave on a model, compared with attacks without gradients."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import random_start
from avrobust.types import Clip

STEPS = 20  # of the gradient attack
STEP = 2.5 / STEPS  # of eps, so that the attack can reach any point of the budget
DRAWS = 5  # of random noise


class Probe(NamedTuple):
    """What happened to K recognized clips under one threat."""

    dead: Tensor  # (K,) bool: the gradient of an attacked modality is zero, or not finite
    one_step: Tensor  # (K,) bool: fooled by one step of eps
    many_steps: Tensor  # (K,) bool: fooled by an iterate of projected gradient descent
    noise: Tensor  # (K,) bool: fooled by one of some random points of the budget
    whole_range: Tensor  # (K,) bool: fooled by gradient descent with every valid value allowed
    replaced: Tensor  # (K, R) bool: fooled by each replacement of the attacked input
    losses: Tensor  # (K, 3): clean, after a quarter of the steps, after all


def probe(problem: Problem) -> Probe:
    """Attacks the clips of a problem in the ways that the checks compare."""
    clip, clean_result = problem.clip, problem.clean_value_and_grad()
    dead = torch.zeros_like(problem.label, dtype=torch.bool)
    for gradient, budget in zip(clean_result.gradient, problem.threat.budgets, strict=True):
        if budget is not None:
            dead = dead | _is_dead(gradient)
    many_steps, losses = _descend(problem)
    noise = torch.zeros_like(dead)
    for _ in range(DRAWS):
        noise = noise | _fooled(problem, random_start(problem, fill=True))
    unlimited = replace(problem, threat=problem.threat.unlimited())
    return Probe(
        dead=dead,
        one_step=_fooled(problem, problem.step(clip, clean_result.gradient, 1.0)),
        many_steps=many_steps,
        noise=noise,
        whole_range=_descend(unlimited)[0],
        replaced=torch.stack([_fooled(unlimited, x) for x in _replacements(unlimited)], 1),
        losses=losses,
    )


def joined(probes: Sequence[Probe]) -> Probe:
    """The probes of several batches as one."""
    fields = {}
    for name in Probe._fields:
        fields[name] = torch.cat([getattr(one, name) for one in probes])
    return Probe(**fields)


def _is_dead(gradient: Tensor) -> Tensor:
    """Whether the gradient of each clip is zero everywhere, or not finite: (B,) bool."""
    flat = gradient.flatten(1)
    return ~(flat.isfinite().all(1) & (flat != 0).any(1))


def _fooled(problem: Problem, x: Clip) -> Tensor:
    return problem.fooled(problem.logits(x))


def _descend(problem: Problem) -> tuple[Tensor, Tensor]:
    """Projected gradient descent.

    Returns:
        Whether an iterate fools, (B,); any iterate, as it is compared with the best of several
        draws or replacements, and the last one may have overshot. The losses at the start, early
        and at the end, (B, 3).
    """
    x, losses, fooled = problem.clip, [], torch.zeros_like(problem.label, dtype=torch.bool)
    for step in range(STEPS):
        result = problem.value_and_grad(x)
        fooled = fooled | problem.fooled(result.logits)
        if step in (0, STEPS // 4):
            losses.append(result.loss)
        x = problem.step(x, result.gradient, STEP)
    loss, logits = problem.loss_and_logits(x)
    return fooled | problem.fooled(logits), torch.stack([*losses, loss], 1)


def _replacements(problem: Problem) -> Iterator[Clip]:
    """What an attacker without gradients would send: constant inputs and noise."""
    for share in (0.0, 0.5, 1.0):
        parts = []
        for x, budget in zip(problem.clip, problem.threat.budgets, strict=True):
            if budget is not None:
                x = torch.full_like(x, budget.low + share * (budget.high - budget.low))
            parts.append(x)
        yield Clip(*parts)
    for _ in range(DRAWS):
        yield random_start(problem)
