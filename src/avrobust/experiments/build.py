"""From a checked option to an object. The only caller of Hydra's instantiate."""

import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pydantic import ConfigDict, TypeAdapter, ValidationError

from avrobust.errors import UserError, did_you_mean
from avrobust.experiments.options import Option
from avrobust.experiments.settings import Experiment, ModelSettings
from avrobust.experiments.targets import locate


def build(group: str, option: Option, **more: object) -> Any:
    """The object that an option describes.

    Args:
        group: the option's group, for messages.
        option: what was chosen.
        **more: arguments that only Python knows.

    Raises:
        UserError: the constructor refuses a value.
    """
    try:
        return instantiate(option.node(), _convert_="all", **more)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):
            raise UserError(f"{group}: {' '.join(str(cause).split())}") from None
        raise cause from error  # a defect of the option, to be seen with its traceback


def check(experiment: Experiment) -> None:
    """Checks every option against the signature of what it builds, before any work.

    The trainer is left out: `check_trainer` imports Lightning, which a trained model does not need.

    Raises:
        UserError: a value is of a wrong type or belongs to no parameter.
    """
    for group, option in _options(experiment):
        check_option(group, option)


def check_trainer(model: ModelSettings) -> None:
    """Checks the trainer's values as `check` checks the others.

    Raises:
        UserError: a value is of a wrong type or belongs to no parameter.
    """
    check_option("trainer", model.trainer)


def check_option(path: str, option: Option) -> None:
    """Checks one option and its parts against the signatures of what they build.

    Args:
        path: of the option in the config, for messages.
        option: what was chosen.

    Raises:
        UserError: a value is of a wrong type or belongs to no parameter.
    """
    target = locate(path, option.target)
    parameters = inspect.signature(target).parameters
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    hints = get_type_hints(function)
    for name in (*option.values, *option.parts):
        if name not in parameters:
            raise UserError(f"{path}.{name}: no such key{did_you_mean(name, list(parameters))}")
    for name, value in option.values.items():
        _check_value(f"{path}.{name}", value, hints.get(name, Any))
    for name, part in option.parts.items():
        check_option(f"{path}.{name}", part)


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


def _check_value(path: str, value: object, hint: Any) -> None:
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        messages = dict.fromkeys(str(each["msg"]) for each in error.errors())
        raise UserError(f"{path}={value}: {'; '.join(messages)}") from None
