"""The command that makes a run again."""

import shlex

from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.settings import Experiment

GROUPS = ("dataset", "audio", "visual", "fusion")
# Overrides that the command states in full, or that change no number. Nobody allows a package by
# copying a command from the page of a stranger's runs.
STATED = (
    *GROUPS,
    "defense",
    "attack",
    "threat",
    "experiment",
    "sweep",
    "seed",
    "eps",
    "split",
    "runs",
    "force",
    "stale",
    "name",
    "tags",
    "workers",
    "batch_size",
    "examples",
    "allow",
)
SOURCE = "@source."  # in Hydra's names of the options of another model, which the clips are made on


def command(result: EvaluationResult) -> str:
    """A line for the shell: the options in full, then the values that the user had set."""
    experiment = result.experiment
    settings, execution = experiment.evaluation, experiment.execution
    parts = ["python", f"{result.task}.py"]
    for folder in execution.config_dirs:
        parts += ["--config-dir", folder]
    if execution.experiment:
        parts.append(f"experiment={execution.experiment}")
    for group in GROUPS:
        parts.append(f"{group}={getattr(experiment.model, group).name}")
    if experiment.model.defended:
        parts.append(f"defense={experiment.model.defense.name}")
    parts += [f"attack={settings.attack.name}", f"threat={settings.threat.name}"]
    parts += [f"eps={settings.eps!r}", f"seed={experiment.model.seed}"]
    if settings.split != "test":
        parts.append(f"split={settings.split}")
    values = _values_set(experiment, result.task)
    for name, option in settings.conditions.items():
        # A sweep's own file may have chosen it.
        choice = f"+condition@conditions.{name}={option.name}"
        if choice not in values:
            parts.append(choice)
    return shlex.join([*parts, *values])


def _values_set(experiment: Experiment, task: str) -> list[str]:
    """The overrides of single values; without those of a defense if this run has none."""
    defended = experiment.model.defended
    foreign = ["hydra", "logger"]
    if not defended:
        foreign.append("defense")
    if task != "defend":
        foreign.append("adaptive")
    values = []
    if not defended and experiment.model.defense.values.get("match_epochs"):
        # The undefended side of a defense in two stages.
        values.append("defense.match_epochs=true")
    for override in experiment.execution.overrides:
        key = override.lstrip("+~").partition("=")[0]
        belongs_to_source = SOURCE in key
        if key in STATED or (key.startswith(tuple(foreign)) and not belongs_to_source):
            continue
        values.append(override)
    return values
