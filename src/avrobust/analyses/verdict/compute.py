"""Is a robust accuracy real, or did the attack only fail? Checks for masked gradients.

docs/verdict.md describes each check and its source.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from avrobust.attacks.av_auto import BLACK_BOX
from avrobust.attacks.base import attack_problem
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import random_start
from avrobust.models.classifier import eval_mode
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Batch, Classifier, Clip, Record
from avrobust.utils.randomness import generator

# The gradient attack whose behavior is checked. A step is a fraction of eps; together the steps can
# reach any point of the budget.
STEPS = 20
STEP = 2.5 / STEPS
DRAWS = 5  # random points that the attack is compared with
CLIPS = 200  # clips that are checked, at most
SLACK = 0.02  # share of the clips (at least one clip) that may disagree by chance


@dataclass(frozen=True)
class Context:
    """What is known besides the model itself.

    Args:
        optimizes: the model solves an optimization problem for every prediction, as a feature
            memory does.
        adaptive: the attacker knew the defense, and maximized what the defense declares.
        transfer: accuracies in percent under clips made on another model, by condition.
    """

    optimizes: bool = False
    adaptive: bool = False
    transfer: Mapping[str, float] | None = None


class Probe(NamedTuple):
    """How attacks behave on K recognized clips under one threat."""

    dead: Tensor  # (K,) bool: an attacked modality's gradient is zero or not finite
    one_step: Tensor  # (K,) bool: fooled by one step of eps
    many_steps: Tensor  # (K,) bool: fooled by an iterate of projected gradient descent
    noise: Tensor  # (K,) bool: fooled by one of some random points of the budget
    whole_range: Tensor  # (K,) bool: fooled by gradient descent with every valid value allowed
    replaced: Tensor  # (K, 8) bool: fooled by silence, black, white or noise
    losses: Tensor  # (K, 3): clean, after a quarter of the steps, after all


class Check(NamedTuple):
    """The result of one check."""

    name: str
    condition: str
    suspicious: bool
    text: str


class Verdict(NamedTuple):
    """Whether the numbers of a row can be trusted, and why not."""

    trusted: bool
    reasons: list[str]
    checks: dict[str, dict[str, str]]  # by condition and check


def judge(
    model: Classifier,
    batches: Iterable[Batch],
    suite: Mapping[str, Threat],
    records: Sequence[Record] = (),
    *,
    objective: Objective = cross_entropy,
    context: Context = Context(),
    device: torch.device | str = "cpu",
) -> Verdict:
    """The verdict on a model's robust accuracies, from how gradient attacks behave on it.

    Args:
        model: any callable from Clip to logits (B, C).
        batches: the clips that were attacked. The first 200 that the model recognizes are checked.
        suite: the threats, by condition.
        records: of the attack; they tell whether Square fooled what gradients could not.
        objective: what the attacker maximized.
        context: what is known besides the model itself.
        device: where the model is.
    """
    probes: dict[str, list[Probe]] = {condition: [] for condition in suite}
    random, classes, checked = False, 0, 0
    for batch in batches:
        if checked >= CLIPS or not batch.key:
            continue
        clip, label = batch.clip.to(device), batch.label.to(device)
        logits, again = _predict_twice(model, clip)
        # Up to rounding: some GPU kernels add up in an order of their own.
        random = random or not torch.allclose(logits, again, rtol=1e-4, atol=1e-6, equal_nan=True)
        classes = logits.shape[1]
        recognized = (logits.argmax(1) == label).nonzero().squeeze(1)[: CLIPS - checked]
        checked += len(recognized)
        for condition, threat in suite.items():
            generators = [generator(0, "verdict", condition, key) for key in batch.key]
            with attack_problem(model, clip, label, threat, generators, objective) as problem:
                if problem and len(recognized):
                    probes[condition].append(_probe(problem.take(recognized)))
    checks = _model_checks(random, checked, context)
    for condition, parts in probes.items():
        if parts:
            both = suite[condition].modalities == MODALITIES
            checks += _condition_checks(condition, _joined(parts), classes, both=both)
            checks += _record_checks(condition, records, context)
    return _verdict(checks)


@torch.no_grad()
def _predict_twice(model: Classifier, clip: Clip) -> tuple[Tensor, Tensor]:
    with eval_mode(model):
        return model(clip), model(clip)


def _probe(problem: Problem) -> Probe:
    clip, clean = problem.clip, problem.clean_value_and_grad()
    attacked = [getattr(clean.gradient, modality) for modality in problem.threat.modalities]
    dead = [~_alive(gradient) for gradient in attacked]
    many_steps, losses = _descend(problem)
    noise = [random_start(problem, fill=True) for _ in range(DRAWS)]
    unlimited = replace(problem, threat=problem.threat.unlimited())
    return Probe(
        dead=torch.stack(dead).any(0),
        one_step=_fooled(problem, problem.step(clip, clean.gradient, 1.0)),
        many_steps=many_steps,
        noise=torch.stack([_fooled(problem, x) for x in noise]).any(0),
        whole_range=_descend(unlimited)[0],
        replaced=torch.stack([_fooled(unlimited, x) for x in _replacements(unlimited)], 1),
        losses=losses,
    )


def _joined(parts: Sequence[Probe]) -> Probe:
    """The probes of several batches as one."""
    columns = zip(*parts, strict=True)
    return Probe(*(torch.cat(column) for column in columns))


def _alive(gradient: Tensor) -> Tensor:
    flat = gradient.flatten(1)
    return flat.isfinite().all(1) & (flat != 0).any(1)


def _fooled(problem: Problem, x: Clip) -> Tensor:
    return problem.fooled(problem.logits(x))


def _descend(problem: Problem) -> tuple[Tensor, Tensor]:
    """Projected gradient descent on each clip.

    Returns:
        Whether an iterate fools the model, (B,) bool, and the losses at the start, after a quarter
        of the steps and at the end, (B, 3). Every iterate counts, because the outcome is compared
        with the best of several draws or replacements, and the last iterate may have overshot.
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


def _replacements(problem: Problem) -> Iterable[Clip]:
    """What an attacker without gradients would put in place of the attacked modalities."""
    for share in (0.0, 0.5, 1.0):
        replaced = []
        for x, budget in zip(problem.clip, problem.threat.budgets, strict=True):
            if budget is not None:
                x = torch.full_like(x, budget.low + share * (budget.high - budget.low))
            replaced.append(x)
        yield Clip(*replaced)
    for _ in range(DRAWS):
        yield random_start(problem)


def _model_checks(random: bool, checked: int, context: Context) -> list[Check]:
    answers = "asked twice, it answers differently" if random else "no"
    not_adaptive = context.optimizes and not context.adaptive
    text = "no"
    if not_adaptive:
        text = (
            "it optimizes at inference and was not attacked on what its defense declares, "
            "as defend.py does"
        )
    return [
        Check("random", "model", random, answers),
        Check("optimizes", "model", not_adaptive, text),
        Check("clips", "model", not checked, f"it recognizes {checked} of the clips looked at"),
    ]


def _condition_checks(condition: str, probe: Probe, classes: int, *, both: bool) -> list[Check]:
    """The checks of one condition.

    Args:
        condition: its name.
        probe: of all checked clips.
        classes: number of classes.
        both: whether both modalities are attacked.
    """
    n = len(probe.dead)
    dead, one_step = int(probe.dead.sum()), int(probe.one_step.sum())
    many_steps, whole_range = int(probe.many_steps.sum()), int(probe.whole_range.sum())
    # The best replacement alone: eight together would beat any single attack.
    replaced = int(probe.replaced.sum(0).max())
    noise_only = int((probe.noise & ~probe.many_steps).sum())
    clean, early, end = probe.losses.double().mean(0).tolist()
    loss_rises = end > clean + 1e-6 and end >= early - 0.05 * abs(early - clean)
    checks = [
        Check(
            "gradient",
            condition,
            _more(dead, 0, n),
            f"{dead} of {n} clips have a zero or non-finite gradient",
        ),
        Check(
            "noise",
            condition,
            _more(noise_only, 0, n),
            f"random noise fools {noise_only} of {n} clips that gradients do not",
        ),
        Check(
            "one step",
            condition,
            _more(one_step, many_steps, n),
            f"one step fools {one_step} of {n} clips, {STEPS} steps fool {many_steps}",
        ),
        Check(
            "steps",
            condition,
            not loss_rises,
            f"the loss goes from {clean:.3g} to {early:.3g} and {end:.3g} with the steps",
        ),
        Check(
            "whole range",
            condition,
            _more(replaced, whole_range, n),
            f"with every value allowed gradients fool {whole_range} of {n} clips, "
            f"the best of silence, black, white or noise {replaced}",
        ),
    ]
    if both:
        # With everything under its control an attack should leave no more than chance.
        left, chance = 100 * (1 - whole_range / n), 100 / classes
        text = f"with every value allowed {left:.0f} % are left; chance is {chance:.0f} %"
        too_many = left > chance + 100 * SLACK + 100 / n
        checks.append(Check("chance", condition, too_many, text))
    return checks


def _more(count: int, other: int, n: int) -> bool:
    """Whether `count` of n clips is more than `other` beyond what chance explains."""
    return count - other > max(1, SLACK * n)


def _record_checks(condition: str, records: Sequence[Record], context: Context) -> list[Check]:
    attacked = [record for record in records if record.condition == condition]
    n = len(attacked)
    if not n:
        return []
    square = sum(record.attack == BLACK_BOX for record in attacked)
    text = f"Square fooled {square} of {n} clips that gradients could not"
    checks = [Check("square", condition, _more(square, 0, n), text)]
    if context.transfer and condition in context.transfer:
        correct = sum(record.correct for record in attacked)
        transferred = round(context.transfer[condition] / 100 * n)
        checks.append(compare_transfer(condition, correct, transferred, n))
    return checks


def compare_transfer(condition: str, own: int, other: int, n: int) -> Check:
    """Whether clips made on another model harm a model more than those made on itself.

    Args:
        condition: the condition's name.
        own: number of clips that the model recognizes of those made on itself.
        other: number of clips that it recognizes of those made on the other model.
        n: clips.
    """
    text = f"clips made on another model leave {other} of {n}, those made on this one {own}"
    return Check("transfer", condition, _more(own, other, n), text)


def _verdict(checks: Sequence[Check]) -> Verdict:
    texts: dict[str, dict[str, str]] = {}
    for check in checks:
        texts.setdefault(check.condition, {})[check.name] = check.text
    reasons = [f"{check.condition}: {check.text}" for check in checks if check.suspicious]
    return Verdict(not reasons, reasons, texts)
