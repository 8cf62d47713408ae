"""Watches how plain gradient attacks behave on a model, compared with attacks without gradients."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from avrobust.analyses.verdict.margin import largest_margin
from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import random_start
from avrobust.types import Clip

STEPS = 20  # of the gradient attack
STEP = 2.5 / STEPS  # of eps, so that the attack can reach any point of the budget
DRAWS = 5  # of random noise


class Probe(NamedTuple):
    """What happened to K recognized clips under one threat.

    Gradients are those of the margin between the logits, which does not saturate.
    """

    dead: Tensor  # (K,) bool: the gradient of an attacked modality is zero, or not finite
    saturated: Tensor  # (K,) bool: the gradient is alive, but not that of the attacker's loss
    one_step: Tensor  # (K,) bool: fooled by one step of eps
    many_steps: Tensor  # (K,) bool: fooled by an iterate of projected gradient descent
    own_loss: Tensor  # (K,) bool: the same on the attacker's loss
    noise: Tensor  # (K,) bool: fooled by one of some random points of the budget
    whole_range: Tensor  # (K,) bool: fooled by gradient descent with every valid value allowed
    replaced: Tensor  # (K, R) bool: fooled by each replacement of the attacked input
    losses: Tensor  # (K, 3): clean, after a quarter of the steps, after all


class Descent(NamedTuple):
    """What projected gradient descent did to K clips."""

    fooled: Tensor  # (K,) bool: by any iterate, as the last one may have overshot
    losses: Tensor  # (K, 3): clean, after a quarter of the steps, after all
    last: Clip  # the last iterate


def probe(problem: Problem) -> tuple[Probe, Clip]:
    """Attacks the clips of a problem in the ways that the checks compare.

    Returns:
        What happened, and the last iterate of the descent within the budget.
    """
    margin = problem.with_objective(largest_margin)
    gradient = margin.clean_value_and_grad().gradient
    dead = _dead(margin, gradient)
    saturated = _dead(problem, problem.clean_value_and_grad().gradient) & ~dead
    descent = descend(margin)
    own_loss = descend(problem).fooled if saturated.any() else descent.fooled
    noise = torch.zeros_like(dead)
    for _ in range(DRAWS):
        noise = noise | _fooled(problem, random_start(problem, fill=True))
    unlimited = replace(margin, threat=problem.threat.unlimited())
    watched = Probe(
        dead=dead,
        saturated=saturated,
        one_step=_fooled(margin, margin.step(margin.clip, gradient, 1.0)),
        many_steps=descent.fooled,
        own_loss=own_loss,
        noise=noise,
        whole_range=descend(unlimited).fooled,
        replaced=torch.stack([_fooled(unlimited, x) for x in _replacements(unlimited)], 1),
        losses=descent.losses,
    )
    return watched, descent.last


def joined(probes: Sequence[Probe]) -> Probe:
    """The probes of several batches as one."""
    fields = {}
    for name in Probe._fields:
        fields[name] = torch.cat([getattr(one, name) for one in probes])
    return Probe(**fields)


def descend(problem: Problem) -> Descent:
    """Projected gradient descent from the clean clips."""
    x, losses, fooled = problem.clip, [], torch.zeros_like(problem.label, dtype=torch.bool)
    for step in range(STEPS):
        result = problem.value_and_grad(x)
        fooled = fooled | problem.fooled(result.logits)
        if step in (0, STEPS // 4):
            losses.append(result.loss)
        x = problem.step(x, result.gradient, STEP)
    loss, logits = problem.loss_and_logits(x)
    return Descent(fooled | problem.fooled(logits), torch.stack([*losses, loss], 1), x)


def _dead(problem: Problem, gradient: Clip) -> Tensor:
    """Whether an attacked modality's gradient is zero everywhere, or not finite: (K,) bool."""
    dead = torch.zeros_like(problem.label, dtype=torch.bool)
    for part, budget in zip(gradient, problem.threat.budgets, strict=True):
        if budget is not None:
            flat = part.flatten(1)
            dead = dead | ~(flat.isfinite().all(1) & (flat != 0).any(1))
    return dead


def _fooled(problem: Problem, x: Clip) -> Tensor:
    return problem.fooled(problem.logits(x))


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
