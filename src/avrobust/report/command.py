"""The command that makes a run, from its config."""

import shlex
from collections.abc import Mapping
from typing import Any

from avrobust.experiments.identity import SOURCE

SCRIPTS = {"attack": "attack.py", "defend": "defend.py", "train": "train.py"}
GROUPS = (
    "experiment",
    "dataset",
    "audio",
    "visual",
    "fusion",
    "defense",
    "attack",
    "threat",
    "trainer",
)
IMPLIED = {("defense", "none"), ("trainer", "auto")}
NAMED = (
    *GROUPS,
    "sweep",
    "seed",
    "eps",
    "split",
    "runs",
    "force",
    "name",
    "tags",
    "workers",
    "batch_size",
    "examples",
)


def command(result: Mapping[str, Any]) -> str:
    """A line for the shell; the choices in full, then the values that the user had set."""
    config, task = result["config"], str(result["task"])
    choices = [
        (group, config["choices"][group]) for group in GROUPS if config["choices"].get(group)
    ]
    given = [f"{group}={choice}" for group, choice in choices if (group, choice) not in IMPLIED]
    values = [f"eps={config['eps']!r}", f"seed={config['seed']}"]
    split = [] if config["split"] == "test" else [f"split={config['split']}"]
    return shlex.join(
        ["python", SCRIPTS[task], *given, *values, *split, *_set_by_hand(config, task)]
    )


def _set_by_hand(config: Mapping[str, Any], task: str) -> list[str]:
    """Overrides of single values, without those that belong to a defense that this run has not."""
    undefended = config["choices"]["defense"] == "none"
    foreign = (
        "hydra",
        "logger",
        *(("defense",) if undefended else ()),
        *(() if task == "defend" else ("adaptive",)),
    )
    longer = undefended and config["defense"].get(
        "match_epochs"
    )  # as the undefended side of a defense in two stages
    kept = ["defense.match_epochs=true"] if longer else []
    for override in config.get("overrides", ()):
        key = override.lstrip("+~").partition("=")[0]
        if key not in NAMED and (SOURCE in key or not key.startswith(foreign)):
            kept.append(override)
    return kept


def flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A config as lines of key and value, as they would be set."""
    lines: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            lines += flat(value, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", "null" if value is None else str(value)))
    return lines
