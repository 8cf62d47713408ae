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
# ... except these inside them. The data's own fingerprint stands for its paths.
NOT_SCIENCE = {
    "dataset": ("root", "lists", "list_name"),
    "trainer": ("_partial_", "accelerator", "devices", "strategy", "num_nodes", "sync_batchnorm"),
}


def science(task: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """The scientific part of a resolved config."""
    return {key: _without(config[key], NOT_SCIENCE.get(key, ())) for key in KEYS[task]}


def _without(node: Any, names: tuple[str, ...]) -> Any:
    return {k: v for k, v in node.items() if k not in names} if names else node
