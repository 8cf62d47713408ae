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
SHORTCUTS = (
    "amp",
    "compile",
)  # of an evaluation: they round otherwise, so a row made with them is another row
BASE = "defense@defense.base"  # Hydra's name of the choice of a defense's base
SOURCE = "@source."  # in Hydra's names of the choices of another model, on which clips are made
# ... except these inside them. The data's own fingerprint stands for its paths.
NOT_SCIENCE = {
    "dataset": ("root", "lists", "list_name"),
    "trainer": ("_partial_", "accelerator", "devices", "strategy", "num_nodes", "sync_batchnorm"),
}


def science(task: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """The scientific part of a resolved config."""
    found = {key: _without(config[key], NOT_SCIENCE.get(key, ())) for key in KEYS[task]}
    defense = config["defense"]
    # A defense with a base has two stages anyway: whether the undefended model has too is the
    # comparison's affair.
    if not defense.get("match_epochs") or ("base" in defense and task != "defend"):
        found["defense"] = _without(defense, ("match_epochs",))
    if task != "train":
        found.update(
            {key: config[key] for key in ("clips", "target", *SHORTCUTS) if config.get(key)}
        )
        if other := source_of(config):
            found["source"] = science("train", other)
    return found


def source_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the model that clips are made on, or None if that is the attacked one.

    What `source` does not name is as in the attacked model.
    """
    chosen = {
        key: value for key, value in (config.get("source") or {}).items() if value is not None
    }
    # Of another defense than the attacked model's none of the choices inside that one are true.
    foreign = ("defense",) if "defense" in chosen else ()
    kept = {
        k: v for k, v in config["choices"].items() if SOURCE not in k and not k.startswith(foreign)
    }
    named = {
        _choice(*key.split(SOURCE)): name
        for key, name in config["choices"].items()
        if SOURCE in key
    }
    other = {**config, **chosen, "choices": {**kept, **named}, "source": None}
    return (
        None if science("train", other) == science("train", {**config, "source": None}) else other
    )


def split_name(config: Mapping[str, Any]) -> str:
    """Whose clips were attacked: "test", or "24 of test" where not all of them were."""
    return " of ".join(str(part) for part in (config.get("clips"), config["split"]) if part)


def _choice(group: str, package: str) -> str:
    """Hydra's name of the choice of a group for a place in the config."""
    return group if package == group.replace("/", ".") else f"{group}@{package}"


def attack_name(config: Mapping[str, Any]) -> str:
    """As tables call it: "pgd", "pgd amp", "pgd to next" with a target, "pgd from sum" if made on another model."""
    attack = " ".join([config["choices"]["attack"], *(key for key in SHORTCUTS if config.get(key))])
    if config.get("target"):
        attack += f" to {config['target']}"
    if source_of(config) is None:
        return attack
    keys = (f"{group}{SOURCE}{group}" for group in ("fusion", "defense", "audio", "visual"))
    names = [config["choices"][key] for key in keys if key in config["choices"]]
    seed = config["source"]["seed"]
    return f"{attack} from {'+'.join(names if seed is None else [*names, f's{seed}'])}"


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
