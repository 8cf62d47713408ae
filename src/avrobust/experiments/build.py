"""From a checked option to an object."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from avrobust.errors import UserError, did_you_mean
from avrobust.experiments.options import Option, nodes_in, option_from
from avrobust.experiments.settings import Experiment, ModelSettings
from avrobust.experiments.targets import check_names, kind_of, locate, may_be_option
from avrobust.experiments.trainer import trainer_settings
from avrobust.utils.arguments import parameter_types, violation


def build(group: str, option: Option, **more: object) -> Any:
    """The object that an option describes.

    Nothing of Hydra builds it: `hydra.utils.instantiate` would resolve interpolations such as
    `${oc.env:HOME}` in the values of a stranger's run, and import what `locate` refuses.

    Args:
        group: the option's group, for messages.
        option: what was chosen.
        **more: arguments that only Python knows.

    Raises:
        UserError: a target is not allowed, or the constructor refuses a value.
    """
    check_names(group, option)
    try:
        return _built(group, option, kind_of(group), more)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"{group}: {' '.join(str(error).split())}") from error


def _built(path: str, option: Option, wanted: object, more: Mapping[str, object]) -> Any:
    """The object of one option; its parts are built first.

    Args:
        path: of the option in the config.
        option: what was chosen.
        wanted: the type of the parameter that it is for.
        more: further arguments, which go before the option's own.
    """
    builder = locate(path, option.target, wanted)
    types = parameter_types(builder)
    arguments: dict[str, object] = {}
    for name, value in option.values.items():
        wanted_value = types.get(name, Any)
        _refuse_options(list(nodes_in(f"{path}.{name}", value)), wanted_value)
        arguments[name] = _built_value(f"{path}.{name}", value, wanted_value)
    for name, part in option.parts.items():
        arguments[name] = _built(f"{path}.{name}", part, types.get(name, Any), {})
    arguments.update(more)
    return partial(builder, **arguments) if option.partial else builder(**arguments)


def _refuse_options(nested: Sequence[tuple[str, Option]], wanted: object) -> None:
    """Refuses options where the parameter's type names plain values, such as a list of numbers.

    Raises:
        UserError: there is one.
    """
    if nested and not may_be_option(wanted):
        raise UserError(f"{nested[0][0]}: a value is wanted here, and no option")


def _built_value(path: str, value: Any, wanted: object) -> Any:
    """A plain value with the options inside it built."""
    if isinstance(value, Mapping) and "_target_" in value:
        return _built(path, option_from(value, path, {}), wanted, {})
    if isinstance(value, Mapping):
        return {key: _built_value(f"{path}.{key}", item, wanted) for key, item in value.items()}
    if isinstance(value, list):
        return [_built_value(f"{path}.{i}", item, wanted) for i, item in enumerate(value)]
    return value


def check_targets(experiment: Experiment) -> None:
    """Checks the names of all that an experiment builds, the trainer's included.

    It imports nothing, and comes before anything is built.

    Raises:
        UserError: a target is in a package that is not allowed.
    """
    for group, option in _options(experiment):
        check_names(group, option)
    check_names("trainer", experiment.model.trainer)
    if experiment.attack and experiment.attack.source:
        check_names("source.trainer", experiment.attack.source.trainer)


def check(experiment: Experiment) -> None:
    """Checks every option against the signature of what it builds, before any work.

    The trainer is left out: `check_trainer` may import Lightning, which a trained model does not
    need.

    Raises:
        UserError: a value is of a wrong type or belongs to no parameter.
    """
    for group, option in _options(experiment):
        check_option(group, option)


def check_trainer(model: ModelSettings) -> None:
    """Checks the trainer's values as `check` checks the others.

    Lightning's own trainer has a closed list of keys, for which nothing is imported.

    Raises:
        UserError: a value is of a wrong type or belongs to no parameter.
    """
    if trainer_settings(model.trainer) is None:
        check_option("trainer", model.trainer)


def check_option(path: str, option: Option) -> None:
    """Checks one option and its parts against the signatures of what they build.

    Args:
        path: of the option in the config, for messages.
        option: what was chosen.

    Raises:
        UserError: a target is not allowed, or a value is of a wrong type, out of range, or belongs
            to no parameter.
    """
    _check_option(path, option, kind_of(path))


def _check_option(path: str, option: Option, wanted: object) -> None:
    target = locate(path, option.target, wanted)
    parameters = inspect.signature(target).parameters
    types = parameter_types(target)
    plain = {}
    for name in (*option.values, *option.parts):
        if name not in parameters:
            raise UserError(f"{path}.{name}: no such key{did_you_mean(name, list(parameters))}")
    for name, value in option.values.items():
        nested = list(nodes_in(f"{path}.{name}", value))
        _refuse_options(nested, types.get(name, Any))
        for place, node in nested:
            _check_option(place, node, types.get(name, Any))
        if not nested:
            plain[name] = value
    if wrong := violation(target, plain):
        raise UserError(f"{path}.{wrong}")
    for name, part in option.parts.items():
        _check_option(f"{path}.{name}", part, types.get(name, Any))


def _options(experiment: Experiment) -> Iterator[tuple[str, Option]]:
    """Every chosen option with its place in the config."""
    model, attack = experiment.model, experiment.attack
    yield from _model_options("", model)
    if attack:
        yield "attack", attack.attack
        yield "threat", attack.threat
        for name, option in attack.conditions.items():
            yield f"conditions.{name}", option
        if attack.source:
            yield from _model_options("source.", attack.source)
    if experiment.execution.logger:
        yield "logger", experiment.execution.logger


def _model_options(prefix: str, model: ModelSettings) -> Iterator[tuple[str, Option]]:
    for group in ("dataset", "audio", "visual", "fusion", "defense"):
        yield f"{prefix}{group}", getattr(model, group)
