"""From a composed Hydra config to a checked `Experiment`.

No other place looks keys of a config up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeVar

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from avrobust.errors import UserError
from avrobust.evaluation.metrics import EVALUATION_REVISION
from avrobust.experiments.build import check_targets
from avrobust.experiments.options import REVISION, Node, Option, option_from
from avrobust.experiments.root_keys import (
    check_keys,
    check_max_jobs,
    check_name_and_tags,
    check_runs,
)
from avrobust.experiments.settings import (
    AttackSettings,
    Execution,
    Experiment,
    ModelSettings,
    Task,
)
from avrobust.experiments.trainer import trainer_settings
from avrobust.training.recipe import TRAINING_REVISION, Recipe
from avrobust.utils.arguments import violation

T = TypeVar("T")

MODEL_GROUPS = ("dataset", "audio", "visual", "fusion", "defense", "trainer")
SOURCE_GROUPS = ("audio", "visual", "fusion", "defense")
# Root keys that go into the settings under their own names.
ATTACK_KEYS = ("split", "clips", "target", "amp", "compile", "adaptive")
EXECUTION_KEYS = (
    "runs",
    "force",
    "stale",
    "workers",
    "batch_size",
    "jobs_per_gpu",
    "examples",
    "name",
)

# Keys of an option that its YAML file alone sets, and why.
FIXED = {
    "_target_": "a class of your own needs an option of its own",
    "_partial_": "it stands in the option's YAML file",
    "_convert_": "it stands in the option's YAML file",
    "_recursive_": "it stands in the option's YAML file",
    "_args_": "arguments have names",
    REVISION: "it stands in the option's YAML file",
}


def experiment_from(
    task: Task, config: DictConfig, hydra: HydraConf, *, joblib: bool = False
) -> Experiment:
    """The typed values of a composed config.

    Args:
        task: which script was started.
        config: without the node `hydra`.
        hydra: that node: what was chosen, and what the user typed.
        joblib: other jobs of the sweep run on this machine at the same time.

    Raises:
        UserError: a value is missing, cannot be resolved or makes no sense.
    """
    _refuse_identities(typed_overrides(hydra))
    check_keys(task, config)
    node = _resolve(config)
    chosen = _choices(hydra)
    model = _model(node, chosen)
    attack = None if task == "train" else _attack(node, chosen, model)
    if not str(model.dataset.values.get("root", "none")).strip():
        raise UserError("dataset.root=: is empty; give a folder")
    trainer_settings(model.trainer)
    execution = _execution(node, chosen, hydra, joblib=joblib)
    experiment = Experiment(task, model, attack, execution)
    check_targets(experiment)
    return experiment


def typed_overrides(hydra: HydraConf | DictConfig) -> tuple[str, ...]:
    """The overrides as the user typed them: a "${name}" in them is not resolved."""
    overrides = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    return tuple(str(override) for override in overrides)


def number(key: str, value: object) -> float:
    """A number, or a fraction of two such as "8/255".

    Raises:
        UserError: it is neither, or it is negative or not finite.
    """
    try:
        parsed = float(Fraction(str(value))) if "/" in str(value) else float(str(value))
    except (ValueError, ZeroDivisionError):
        raise UserError(f"{key}={value}: is not a number (write 0.006, 6e-3 or 8/255)") from None
    if not 0 <= parsed < float("inf"):
        raise UserError(f"{key}={value}: must be a finite number of at least 0")
    return parsed


def _resolve(config: DictConfig) -> Node:
    """The config as plain values, interpolations resolved."""
    if "eps" in config:
        eps = number("eps", config.eps)
        config = OmegaConf.merge(config, {"eps": eps})  # type: ignore[assignment]
    try:
        node = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} has no value: give {error.full_key}=VALUE") from None
    except OmegaConfBaseException as error:
        reason, _, _ = str(error.msg).partition("full_key:")
        raise UserError(f"{error.full_key}: {' '.join(reason.split())}") from None
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def _choices(hydra: HydraConf) -> dict[str, str]:
    """The option that was chosen for each place of the config.

    Hydra names a choice "group", or "group@place" where an option was put elsewhere.
    """
    chosen: dict[str, str] = {}
    for key, name in hydra.runtime.choices.items():
        group, _, place = str(key).partition("@")
        if name is not None:
            chosen[place or group.replace("/", ".")] = str(name)
    return chosen


def _model(node: Node, chosen: Mapping[str, str]) -> ModelSettings:
    options: dict[str, Option] = {}
    for group in MODEL_GROUPS:
        options[group] = _option(node, group, chosen)
    training = dict(node["training"])
    training["milestones"] = tuple(training["milestones"])
    recipe = _checked(Recipe, training, "training.")
    settings = {"seed": node["seed"], "training_revision": TRAINING_REVISION}
    return _checked(ModelSettings, {**options, "training": recipe, **settings})


def _option(node: Node, group: str, chosen: Mapping[str, str]) -> Option:
    value = node[group]
    if not isinstance(value, Mapping) or "_target_" not in value:
        raise UserError(f"{group}={value}: choose one of the options of the group {group}")
    return option_from(value, group, chosen)


def _refuse_identities(overrides: Iterable[str]) -> None:
    """Refuses import paths and revisions on the command line.

    A run's identity holds names, values and revisions. With another import path, or with the
    revision of other code, a run would pass for one of the option.

    Raises:
        UserError: an override sets or deletes `_target_` or `revision`.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        for path in _paths(override.key_or_group, override.value()):
            if reason := FIXED.get(path.rpartition(".")[2]):
                raise UserError(
                    f"{path}: cannot be set on the command line; {reason}: see docs/own_project.md"
                )


def _paths(path: str, value: object) -> Iterator[str]:
    """The paths of a value and of all that it holds, for example "defense.attack.steps"."""
    yield path
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(f"{path}.{key}", item)


def _attack(node: Node, chosen: Mapping[str, str], model: ModelSettings) -> AttackSettings:
    conditions: dict[str, Option] = {}
    for name, condition in (node.get("conditions") or {}).items():
        if not isinstance(condition, Mapping) or "_target_" not in condition:
            raise UserError(
                f"conditions.{name}: not a condition; choose one by +condition@conditions.NAME=NAME"
            )
        conditions[name] = option_from(condition, f"conditions.{name}", chosen)
    values = {key: node[key] for key in ATTACK_KEYS if key in node}
    threat = _option(node, "threat", chosen)
    if threat.values.get("eps", node["eps"]) != node["eps"]:
        # Tables, names and figures take the eps of a run from the root.
        raise UserError(f"threat.eps={threat.values['eps']}: must be eps; set it by eps=VALUE")
    return _checked(
        AttackSettings,
        {
            "attack": _option(node, "attack", chosen),
            "threat": threat,
            "eps": node["eps"],
            "source": _source(node["source"], chosen, model),
            "conditions": conditions,
            "evaluation_revision": EVALUATION_REVISION,
            **values,
        },
    )


def _source(node: Node, chosen: Mapping[str, str], model: ModelSettings) -> ModelSettings | None:
    """The model that clips are made on. What `source` does not name is as in the attacked model."""
    parts: dict[str, Any] = {}
    for group in SOURCE_GROUPS:
        part = node[group]
        if part is None:
            continue
        if not isinstance(part, Mapping) or "_target_" not in part:
            raise UserError(
                f"source.{group}={part}: choose an option by {group}@source.{group}=OPTION"
            )
        parts[group] = option_from(part, f"source.{group}", chosen)
    if node["seed"] is not None:
        parts["seed"] = node["seed"]
    source = _checked(ModelSettings, {**vars(model), **parts}, "source.")
    return None if source == model else source


def _execution(
    node: Node, chosen: Mapping[str, str], hydra: HydraConf, *, joblib: bool
) -> Execution:
    logger = _option(node, "logger", chosen) if node["logger"] else None
    check_runs(str(node["runs"]))
    check_max_jobs(node["max_jobs"])
    check_name_and_tags(node["name"], node["tags"])
    trainer = node["trainer"]
    values = {key: node[key] for key in EXECUTION_KEYS if key in node}
    return _checked(
        Execution,
        {
            "accelerator": trainer.get("accelerator", "auto"),
            "devices": trainer.get("devices", 1),
            "logger": logger,
            "experiment": chosen.get("experiment"),
            "sweep": chosen.get("sweep"),
            "overrides": typed_overrides(hydra),
            "config_dirs": _config_dirs(hydra),
            "parallel_jobs": joblib,
            **values,
            "tags": tuple(node["tags"]),
        },
    )


def _config_dirs(hydra: HydraConf) -> tuple[str, ...]:
    """The folders of options that --config-dir added."""
    sources = hydra.runtime.config_sources or ()
    return tuple(str(source.path) for source in sources if source.provider == "command-line")


def _checked(kind: Callable[..., T], values: dict[str, Any], place: str = "") -> T:
    """An object of a settings class, its values checked against the class's types and ranges.

    Args:
        kind: the class.
        values: of its fields.
        place: of the values in the config, for messages, for example "training.".

    Raises:
        UserError: a value is of a wrong type or out of range.
    """
    if wrong := violation(kind, values):
        raise UserError(f"{place}{wrong}")
    return kind(**values)
