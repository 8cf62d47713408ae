"""An experiment as people read it: the keys and values that would be set on the command line."""

from collections.abc import Mapping
from typing import Any

from avrobust.experiments.options import Node, Option
from avrobust.experiments.settings import Experiment, ModelSettings


def choices(experiment: Experiment) -> dict[str, str]:
    """The option that was chosen in each group."""
    model, attack = experiment.model, experiment.attack
    chosen = {
        "dataset": model.dataset.name,
        "audio": model.audio.name,
        "visual": model.visual.name,
        "fusion": model.fusion.name,
        "defense": model.defense.name,
        "trainer": model.trainer.name,
    }
    if attack:
        chosen["attack"] = attack.attack.name
        chosen["threat"] = attack.threat.name
    return chosen


def settings_tree(experiment: Experiment) -> Node:
    """All values of an experiment that can change a number, by key."""
    tree = _model_tree(experiment.model)
    if attack := experiment.attack:
        tree |= {
            "attack": attack.attack.settings(),
            "threat": attack.threat.settings(),
            "eps": attack.eps,
            "split": attack.split,
            "clips": attack.clips,
            "target": attack.target,
            "amp": attack.amp,
            "compile": attack.compile,
            "adaptive": attack.adaptive,
            "conditions": _named(attack.conditions),
            "source": _model_tree(attack.source) if attack.source else None,
        }
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A tree of values as lines of key and value, as they would be set."""
    lines: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            lines += flat(value, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", "null" if value is None else str(value)))
    return lines


def _model_tree(model: ModelSettings) -> Node:
    return {
        "dataset": model.dataset.settings(),
        "audio": model.audio.settings(),
        "visual": model.visual.settings(),
        "fusion": model.fusion.settings(),
        "defense": model.defense.settings(),
        "training": dict(vars(model.training)),
        "trainer": model.trainer.settings(),
        "seed": model.seed,
    }


def _named(options: Mapping[str, Option]) -> Node:
    return {name: {"option": option.name, **option.settings()} for name, option in options.items()}
