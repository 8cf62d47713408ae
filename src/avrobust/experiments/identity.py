"""The identity of a run: a readable prefix and a hash of what was chosen and of its values.

The hash knows no import path, so that moving a class moves no run. Code enters it by revisions: of
each option, of training and of evaluation. Whoever changes numbers raises one of them. The data's
place is not in it; a fingerprint of the data's content takes its place.
"""

import hashlib
import json
from typing import Any

from avrobust.experiments.options import REVISION, Option
from avrobust.experiments.settings import (
    AttackSettings,
    Experiment,
    ModelSettings,
    Task,
    attack_name,
)

# Arguments that change no number: where the data lies, and which hardware trains.
LOCATION = ("root", "lists", "list_name")
HARDWARE = ("accelerator", "devices", "strategy", "num_nodes", "sync_batchnorm")


def model_identity(model: ModelSettings, task: Task = "train") -> dict[str, Any]:
    """What of a model's settings can change a number."""
    trainer = model.trainer.identity(without=HARDWARE)
    del trainer[
        "option"
    ]  # an option of this group names hardware; what else it sets is in its values
    training = dict(vars(model.training))
    if model.training_revision:
        training[REVISION] = model.training_revision
    return {
        "dataset": model.dataset.identity(without=LOCATION),
        "audio": model.audio.identity(),
        "visual": model.visual.identity(),
        "fusion": model.fusion.identity(),
        "defense": _defense_identity(model.defense, task),
        "training": training,
        "trainer": trainer,
        "seed": model.seed,
    }


def attack_identity(attack: AttackSettings, task: Task) -> dict[str, Any]:
    """What of an attack's settings can change a number; settings that are off are left out."""
    content: dict[str, Any] = {
        "attack": attack.attack.identity(),
        "threat": attack.threat.identity(),
        "split": attack.split,
        "clips": attack.clips,
        "target": attack.target,
        "amp": attack.amp,
        "compile": attack.compile,
        "conditions": {name: option.identity() for name, option in attack.conditions.items()},
        "source": model_identity(attack.source) if attack.source else None,
        "adaptive": attack.adaptive if task == "defend" else None,
        REVISION: attack.evaluation_revision,
    }
    return {key: value for key, value in content.items() if value}


def identity(experiment: Experiment) -> dict[str, Any]:
    """What of an experiment can change a number of its result."""
    content = model_identity(experiment.model, experiment.task)
    if experiment.task != "train":
        content |= attack_identity(experiment.evaluation, experiment.task)
    return content


def run_id(experiment: Experiment, fingerprint: str) -> str:
    """The name of the run's folder.

    Args:
        experiment: what is asked for.
        fingerprint: of the data, see `Prepared.fingerprint`.
    """
    content = {"task": experiment.task, "data": fingerprint, **identity(experiment)}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{_prefix(experiment)}-{digest[:10]}"


def _defense_identity(defense: Option, task: Task) -> dict[str, Any]:
    """What of a defense can change a number; `match_epochs` is left out where it cannot.

    A defense with a base has two stages anyway; `match_epochs` then affects the comparison alone.
    """
    matters = defense.values.get("match_epochs") and (
        "base" not in defense.parts or task == "defend"
    )
    return defense.identity(without=() if matters else ("match_epochs",))


def _prefix(experiment: Experiment) -> str:
    model = experiment.model
    parts = [model.dataset.name, model.fusion.name]
    if model.defended:
        parts.append(model.defense.name)
    if experiment.task != "train":
        attack = experiment.evaluation
        name = attack_name(model, attack).replace(" ", "-")
        parts += [name, attack.threat.name, f"{attack.eps:g}"]
    return "-".join([*parts, f"s{model.seed}"])
