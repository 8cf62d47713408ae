"""Is a robust accuracy to be trusted, or did the attack only fail? Checks of each modality for masked gradients.

What each check is and where it comes from: docs/verdict.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from avrobust.attacks.base import attack_problem
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.problem import Problem
from avrobust.attacks.restarts import random_start
from avrobust.models.classifier import eval_mode
from avrobust.threats import Threat
from avrobust.types import Batch, Classifier, Clip, Record
from avrobust.utils.randomness import generator

STEPS = 20  # of the gradient attack whose behavior is looked at
STEP = 2.5 / STEPS  # of eps, so that it can reach any point of the budget
DRAWS = 5  # of random noise that is compared with it
CLIPS = 200  # that are looked at, at most
SLACK = 0.02  # share of the clips (and one clip) that may disagree by chance


@dataclass(frozen=True)
class Context:
    """What is known beside the model itself.

    Args:
        optimizes: the model solves an optimization problem for every answer, as a feature memory
            does.
        adaptive: the attacker knew the defense, and maximized what the defense declares.
        transfer: accuracies in percent under clips made on another model.
    """

    optimizes: bool = False
    adaptive: bool = False
    transfer: Mapping[str, float] | None = None


class Probe(NamedTuple):
    """What was found out about recognized clips under one threat, a row each: (K,)."""

    dead: Tensor  # bool: an attacked modality's gradient is zero everywhere, or not finite
    one_step: Tensor  # bool: fooled by one step of eps ...
    many_steps: Tensor  # ... by an iterate of projected gradient descent
    noise: Tensor  # ... by one of some random points of the budget
    whole_range: Tensor  # ... by gradient descent with every valid value allowed
    replaced: Tensor  # (K, 8): ... by silence, black, white or noise in place of what is attacked
    losses: Tensor  # (K, 3): clean, after a quarter of the steps, after all


class Check(NamedTuple):
    """One finding."""

    name: str
    condition: str
    suspicious: bool
    text: str


class Verdict(NamedTuple):
    """Whether the numbers of a row are to be trusted, and why not."""

    trusted: bool
    reasons: list[str]
    checks: dict[str, dict[str, str]]  # by condition, what each check found


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
        model: as `evaluate` takes it.
        batches: the clips that were attacked; of those that the model recognizes, the first 200 are
            looked at.
        suite: the threats, by condition.
        records: what the attack found; tells whether Square fooled what gradients could not.
        objective: what the attacker maximized.
        context: see `Context`.
        device: where the model lives.
    """
    probes: dict[str, list[Probe]] = {condition: [] for condition in suite}
    random, classes, seen = False, 0, 0
    for batch in batches:
        if seen >= CLIPS or not batch.key:
            continue
        clip, label = batch.clip.to(device), batch.label.to(device)
        logits, again = _twice(model, clip)
        # Up to rounding: some GPU kernels add up in an order of their own.
        random = random or not torch.allclose(logits, again, rtol=1e-4, atol=1e-6, equal_nan=True)
        classes = logits.shape[1]
        known = (logits.argmax(1) == label).nonzero().squeeze(1)[: CLIPS - seen]
        seen += len(known)
        for condition, threat in suite.items():
            generators = [generator(0, "verdict", condition, key) for key in batch.key]
            with attack_problem(model, clip, label, threat, generators, objective) as problem:
                if problem and len(known):
                    probes[condition].append(_probe(problem.take(known)))
    found = [
        Check("random", "model", random, "asked twice, it answers differently" if random else "no")
    ]
    found += [
        _optimizes(context),
        Check("clips", "model", not seen, f"it recognizes {seen} of the clips looked at"),
    ]
    for condition, parts in probes.items():
        if parts:
            found += _checks(
                condition,
                Probe(*(torch.cat(column) for column in zip(*parts, strict=True))),
                classes,
            )
            found += _from_records(condition, records, context)
    return _verdict(found)


@torch.no_grad()
def _twice(model: Classifier, clip: Clip) -> tuple[Tensor, Tensor]:
    with eval_mode(model):
        return model(clip), model(clip)


def _probe(problem: Problem) -> Probe:
    clip, first = problem.clip, problem.clean_value_and_grad()
    pairs = zip(first.gradient, problem.threat.budgets, strict=True)
    dead = [~_alive(gradient) for gradient, budget in pairs if budget is not None]
    many_steps, losses = _descend(problem)
    noise = [random_start(problem, fill=True) for _ in range(DRAWS)]
    wide = replace(problem, threat=problem.threat.unlimited())
    return Probe(
        dead=torch.stack(dead).any(0),
        one_step=_fooled(problem, problem.step(clip, first.gradient, 1.0)),
        many_steps=many_steps,
        noise=torch.stack([_fooled(problem, x) for x in noise]).any(0),
        whole_range=_descend(wide)[0],
        replaced=torch.stack([_fooled(wide, x) for x in _replacements(wide)], 1),
        losses=losses,
    )


def _alive(gradient: Tensor) -> Tensor:
    flat = gradient.flatten(1)
    return flat.isfinite().all(1) & (flat != 0).any(1)


def _fooled(problem: Problem, x: Clip) -> Tensor:
    return problem.fooled(problem.logits(x))


def _descend(problem: Problem) -> tuple[Tensor, Tensor]:
    """Whether an iterate of projected gradient descent fools, (B,), and the losses at its start, early and end, (B, 3).

    Any iterate, as it is compared with the best of several draws or replacements: the last alone
    may have overshot.
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
    """Whatever an attacker without gradients would put in the place of what may be changed at will."""
    for share in (0.0, 0.5, 1.0):
        pairs = zip(problem.clip, problem.threat.budgets, strict=True)
        yield Clip(
            *(
                x if b is None else torch.full_like(x, b.low + share * (b.high - b.low))
                for x, b in pairs
            )
        )
    for _ in range(DRAWS):
        yield random_start(problem)


def _checks(condition: str, probe: Probe, classes: int) -> list[Check]:
    n = len(probe.dead)
    count = {name: int(getattr(probe, name).sum()) for name in Probe._fields[:-2]}
    count["replaced"] = int(
        probe.replaced.sum(0).max()
    )  # the best alone: eight tries together beat any single attack
    ahead = int((probe.noise & ~probe.many_steps).sum())
    clean, early, end = probe.losses.double().mean(0).tolist()
    left, chance = 100 * (1 - count["whole_range"] / n), 100 / classes
    found = {
        "gradient": (
            _more(count["dead"], 0, n),
            f"{count['dead']} of {n} clips have a zero or non-finite gradient",
        ),
        "noise": (
            _more(ahead, 0, n),
            f"random noise fools {ahead} of {n} clips that gradients do not",
        ),
        "one step": (
            _more(count["one_step"], count["many_steps"], n),
            f"one step fools {count['one_step']} of {n} clips, {STEPS} steps fool {count['many_steps']}",
        ),
        "steps": (
            not (end > clean + 1e-6 and end >= early - 0.05 * abs(early - clean)),
            f"the loss goes from {clean:.3g} to {early:.3g} and {end:.3g} with the steps",
        ),
        "whole range": (
            _more(count["replaced"], count["whole_range"], n),
            f"with every value allowed gradients fool {count['whole_range']} of {n} clips, the best of silence, black, "
            f"white or noise {count['replaced']}",
        ),
    }
    if condition == "audiovisual":
        fallen = left <= chance + 100 * SLACK + 100 / n
        found["chance"] = (
            not fallen,
            f"with every value allowed {left:.0f} % are left; chance is {chance:.0f} %",
        )
    return [Check(name, condition, *finding) for name, finding in found.items()]


def _more(count: int, other: int, n: int) -> bool:
    """Whether `count` of n clips is more than `other` beyond what chance explains."""
    return count - other > max(1, SLACK * n)


def _from_records(condition: str, records: Sequence[Record], context: Context) -> list[Check]:
    mine = [record for record in records if record.condition == condition]
    if not mine:
        return []
    square = sum(record.attack == "square" for record in mine)
    text = f"Square fooled {square} of {len(mine)} clips that gradients could not"
    found = [Check("square", condition, _more(square, 0, len(mine)), text)]
    if context.transfer and condition in context.transfer:
        other = round(context.transfer[condition] / 100 * len(mine))
        found.append(
            compare_transfer(condition, sum(record.correct for record in mine), other, len(mine))
        )
    return found


def compare_transfer(condition: str, own: int, other: int, n: int) -> Check:
    """Whether clips made on another model hurt more than those made on the attacked one.

    Args:
        condition: under which.
        own: how many of the clips made on the attacked model it still recognizes.
        other: how many of those made on the other model.
        n: clips.
    """
    text = f"clips made on another model leave {other} of {n}, those made on this one {own}"
    return Check("transfer", condition, _more(own, other, n), text)


def _optimizes(context: Context) -> Check:
    blind = context.optimizes and not context.adaptive
    text = (
        "it optimizes at inference and was not attacked on what its defense declares, as defend.py does"
        if blind
        else "no"
    )
    return Check("optimizes", "model", blind, text)


def _verdict(found: Sequence[Check]) -> Verdict:
    checks: dict[str, dict[str, str]] = {}
    for check in found:
        checks.setdefault(check.condition, {})[check.name] = check.text
    reasons = [f"{check.condition}: {check.text}" for check in found if check.suspicious]
    return Verdict(not reasons, reasons, checks)
