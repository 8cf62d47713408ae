"""The numbers of every option on a tiny model, and what they were when they were last pinned.

`make golden` writes golden.json anew. It refuses where numbers moved and no revision was raised:
finished runs of the older numbers would then pass for results of the newer code. All is computed in
float64, so that another CPU rounds nothing that could turn the sign of a gradient.
"""

import json
import sys
from collections.abc import Callable
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.defenses.base import Defense
from avrobust.experiments.build import build
from avrobust.experiments.options import Option
from avrobust.experiments.settings import Experiment, ModelSettings
from avrobust.models.classifier import AVClassifier
from avrobust.tasks.setup import build_model
from avrobust.threats import suite
from avrobust.types import Batch, Clip
from avrobust.utils.randomness import generator
from tests.support import CONFIGS, OFFLINE, experiment_for

FILE = Path(__file__).with_suffix(".json")
RELATIVE = 1e-4  # a larger change of a number is a change of the option
CLASSES = 5  # as many as the losses of the attacks need
NARROW_AUDIO = ("audio.widths=[8,8,8,16]",)
NARROW_VISUAL = ("visual=cnn", "visual.widths=[8,8,8,16]")
NARROW = (*NARROW_AUDIO, *NARROW_VISUAL)
SHORT = {"steps": 6, "queries": 40, "restarts": 2, "targets": 2}  # of an attack
Numbers = dict[str, float]


class Pin(NamedTuple):
    """What an option computes."""

    revisions: dict[str, int]  # those that are not 0, by part: "" for the option itself
    numbers: Numbers


def clips(count: int, *, seed: int, frames: int = 1) -> Batch:
    """Random clips."""
    rng = torch.Generator().manual_seed(seed)
    audio = torch.rand(count, 1, 4096, generator=rng, dtype=torch.float64) * 1.8 - 0.9
    visual = torch.rand(count, frames, 3, 32, 32, generator=rng, dtype=torch.float64)
    keys = tuple(f"{seed}/{position}" for position in range(count))
    return Batch(Clip(audio, visual), torch.arange(count) % CLASSES, keys)


def tiny_model(settings: ModelSettings) -> AVClassifier:
    """An untrained model whose BatchNorm has seen clips, with what its defense adds."""
    defense: Defense = build("defense", settings.defense)
    torch.set_default_dtype(torch.float64)  # other CPUs draw other weights in the last float32 bits
    try:
        model = build_model(settings, CLASSES, defense).double()
    finally:
        torch.set_default_dtype(torch.float32)
    defense.setup(model, [clips(10, seed=1)])
    with torch.no_grad():
        for seed in range(2):
            model.train()(clips(10, seed=seed).clip)
        for parameter in model.head.parameters():
            parameter.mul_(8)  # confident enough that attacks have something to turn
    return model.eval()


@cache
def attacked_model() -> AVClassifier:
    """The model of every attack."""
    return tiny_model(experiment_for("attack", *NARROW).model)


def attack_numbers(experiment: Experiment) -> Numbers:
    """How far an attack moves clips, and the loss that it reaches."""
    option = experiment.evaluation.attack
    shorter = {key: min(SHORT[key], option.values[key]) for key in SHORT if key in option.values}
    attack: Attack = build("attack", option.with_values(**shorter))
    model, batch = attacked_model(), clips(6, seed=7)
    generators = [generator(0, key) for key in batch.key]
    threat = suite(0.02, units="pixel")["audiovisual"]
    with torch.no_grad():  # half of the clips are recognized: attacks treat both kinds
        said = model(batch.clip).argmax(1)
    label = (said + torch.arange(6) % 2) % CLASSES
    adversarial = attack(model, batch.clip, label, threat, generators=generators)
    with torch.no_grad():
        losses = F.cross_entropy(model(adversarial), label, reduction="none")
    return {
        "audio moved": float((adversarial.audio - batch.clip.audio).abs().mean()),
        "visual moved": float((adversarial.visual - batch.clip.visual).abs().mean()),
        "loss": float(losses.mean()),
        "loss's deviation": float(losses.std()),
    }


def defense_numbers(experiment: Experiment) -> Numbers:
    """The losses of two steps of training, and what the attacker of the defense maximizes."""
    defense: Defense = build("defense", experiment.model.defense)
    model, batch = tiny_model(experiment.model).train(), clips(6, seed=7)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    numbers = {}
    for step in (1, 2):
        generators = [generator(step, key) for key in batch.key]
        loss = defense.train(model, batch.clip, batch.label, generators).loss
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        numbers[f"loss {step}"] = float(loss.detach())
    for name, objective in defense.objectives(model).items():
        clip = Clip(*(values.clone().requires_grad_() for values in batch.clip))
        value = objective(model.eval(), clip, batch.label).mean()
        numbers[name] = float(value.detach())
        gradients = torch.autograd.grad(value, clip, allow_unused=True)
        for modality, gradient in zip(Clip._fields, gradients, strict=True):
            if gradient is not None:
                numbers[f"{name}, {modality} gradient"] = float(gradient.norm())
    return numbers


def model_numbers(experiment: Experiment) -> Numbers:
    """The logits of fixed clips."""
    batch = clips(2, seed=7, frames=4)
    with torch.no_grad():
        logits = tiny_model(experiment.model)(batch.clip)
    return {"logits": float(logits.abs().mean()), "deviation": float(logits.std())}


def threat_numbers(experiment: Experiment) -> Numbers:
    """Steps, projections and random starts within the budgets of each condition."""
    batch = clips(2, seed=7)
    numbers = {}
    for condition, threat in build("threat", experiment.evaluation.threat).items():
        for modality, budget in zip(Clip._fields, threat.budgets, strict=True):
            if budget is None:
                continue
            clean = getattr(batch.clip, modality)
            generators = [generator(0, key) for key in batch.key]
            start = budget.project(clean + budget.noise(clean, generators, fill=False), clean)
            step = budget.move(clean, clean - clean.mean(), 0.5, clean)
            for what, values in (("start", start), ("step", step)):
                moved = (values - clean).abs().mean()
                numbers[f"{condition}, {modality} {what}"] = float(moved)
    return numbers


class Group(NamedTuple):
    """How the options of a config group are measured."""

    numbers: Callable[[Experiment], Numbers]
    overrides: tuple[str, ...]  # beside the option


MEMORY = ("defense=exfmem", "defense.gradient=straight_through")  # takes any solver
GROUPS = {
    "attack": Group(attack_numbers, NARROW),
    "audio": Group(model_numbers, NARROW_VISUAL),
    "defense": Group(defense_numbers, NARROW),
    "defense/solver": Group(defense_numbers, (*NARROW, *MEMORY)),
    "fusion": Group(model_numbers, NARROW),
    "threat": Group(threat_numbers, NARROW),
    "visual": Group(model_numbers, NARROW_AUDIO),
}


def names() -> list[str]:
    """Every option that is pinned, for example "attack/mim", found on disk."""
    found = []
    for group in GROUPS:
        found += [f"{group}/{path.stem}" for path in sorted((CONFIGS / group).glob("*.yaml"))]
    return found


def option_of(experiment: Experiment, group: str) -> Option:
    """The option of a group that was chosen."""
    if group == "defense/solver":
        return experiment.model.defense.parts["solver"]
    place = experiment.evaluation if group in ("attack", "threat") else experiment.model
    option: Option = getattr(place, group)
    return option


def measure(name: str) -> Pin:
    """What an option computes now."""
    group, _, option = name.rpartition("/")
    overrides = (f"{group}={option}", *OFFLINE.get(option, ()))
    experiment = experiment_for("attack", *GROUPS[group].overrides, *overrides)
    return Pin(revisions(option_of(experiment, group)), GROUPS[group].numbers(experiment))


def revisions(option: Option, part: str = "") -> dict[str, int]:
    """The revisions of an option and of its parts that are not 0."""
    found = {part: option.revision} if option.revision else {}
    for key, each in option.parts.items():
        found |= revisions(each, f"{part}.{key}".lstrip("."))
    return found


def pinned() -> dict[str, Pin]:
    """What golden.json holds."""
    content: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {}
    return {name: Pin(**pin) for name, pin in content.items()}


def moved(before: Pin, now: Pin) -> bool:
    """Whether a number is another one."""
    if before.numbers.keys() != now.numbers.keys():
        return True
    for key, number in before.numbers.items():
        if not isclose(number, now.numbers[key], rel_tol=RELATIVE, abs_tol=1e-9):
            return True
    return False


def refusal(name: str, before: Pin, now: Pin) -> str | None:
    """Why the numbers of an option must not be pinned anew; None if they may."""
    file = f"configs/{name}.yaml"
    for part, revision in before.revisions.items():
        if now.revisions.get(part, 0) < revision:
            return f"{name}: a revision went down, from {revision}: a revision only rises ({file})"
    if now.revisions == before.revisions and moved(before, now):
        return (
            f"the numbers of {name} changed: raise `revision` in {file} and run `make golden`; "
            f"they were {before.numbers} and are {now.numbers}"
        )
    return None


def main() -> None:
    """Pins the numbers of every option, or of none where one must not be."""
    before, now, refusals = pinned(), {}, []
    for name in names():
        now[name] = measure(name)
        if name in before and (reason := refusal(name, before[name], now[name])):
            refusals.append(reason)
    if refusals:
        sys.exit("\n".join(refusals))
    content = {name: pin._asdict() for name, pin in now.items()}
    FILE.write_text(json.dumps(content, indent=1) + "\n")
    sys.stdout.write(f"{FILE}: {len(now)} options\n")


if __name__ == "__main__":
    main()
