"""Which part of a config is science: the keys whose values can change a number of the result."""

from collections.abc import Mapping
from typing import Any, Literal

Task = Literal["train", "attack", "defend"]

TRAINING_KEYS = ("dataset", "audio", "visual", "fusion", "defense", "training", "trainer", "seed")
ATTACK_KEYS = (*TRAINING_KEYS, "attack", "threat", "split")
KEYS: dict[Task, tuple[str, ...]] = {
    "train": TRAINING_KEYS,
    "attack": ATTACK_KEYS,
    "defend": (*ATTACK_KEYS, "adaptive"),
}
BASE = "defense@defense.base"  # Hydra's name of the choice of a defence's base
# ... except these inside them. The data's own fingerprint stands for its paths.
NOT_SCIENCE = {
    "dataset": ("root", "lists", "list_name"),
    "trainer": ("_partial_", "accelerator", "devices", "strategy", "num_nodes", "sync_batchnorm"),
}


def science(task: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """The scientific part of a resolved config."""
    found = {key: _without(config[key], NOT_SCIENCE.get(key, ())) for key in KEYS[task]}
    defense = config["defense"]
    # A defence with a base has two stages anyway: whether the undefended model has too is the comparison's affair.
    if not defense.get("match_epochs") or ("base" in defense and task != "defend"):
        found["defense"] = _without(defense, ("match_epochs",))
    return found


def stage_before(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the run whose model this one starts from, or None if it starts from random weights."""
    defense, choices = config["defense"], dict(config["choices"])
    if "base" in defense:
        inner = {k.removeprefix(BASE): v for k, v in choices.items() if k.startswith(BASE)}
        shifted = {f"defense@defense{k}" if k else "defense": v for k, v in inner.items()}
        others = {k: v for k, v in choices.items() if not k.startswith("defense")}
        before, choices = defense["base"], {**others, **shifted}
    elif defense.get("match_epochs"):
        before = {**defense, "match_epochs": False}
    else:
        return None
    return {**config, "defense": before, "choices": choices}


def _without(node: Any, names: tuple[str, ...]) -> Any:
    return {k: v for k, v in node.items() if k not in names} if names else node
