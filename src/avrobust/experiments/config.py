"""From a composed config to checked plain values, and from a node to an object. The only caller of instantiate."""

import inspect
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError

from avrobust.errors import UserError, did_you_mean

Node = dict[str, Any]


def resolve(config: DictConfig) -> Node:
    """The config as plain values, interpolations resolved.

    Raises:
        UserError: a value is missing or cannot be resolved.
    """
    if "eps" in config:
        config = OmegaConf.merge(config, {"eps": number("eps", config.eps)})  # type: ignore[assignment]
    try:
        node = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} has no value: give {error.full_key}=VALUE") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {' '.join(str(error.msg).split())}") from None
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def check(config: Node) -> None:
    """Checks every `_target_` node of a resolved config against the signature of what it builds.

    Raises:
        UserError: a value is of a wrong type or belongs to no parameter.
    """
    for key, value in config.items():
        _check(key, value)


def number(key: str, value: object) -> float:
    """A number, or a fraction of two such as "8/255".

    Raises:
        UserError: it is neither, or negative.
    """
    try:
        parsed = float(Fraction(str(value))) if "/" in str(value) else float(str(value))
    except (ValueError, ZeroDivisionError):
        raise UserError(f"{key}={value}: is not a number (write 0.006, 6e-3 or 8/255)") from None
    if not 0 <= parsed < float("inf"):
        raise UserError(f"{key}={value}: must be a finite number of at least 0")
    return parsed


def build(key: str, node: Node, **more: object) -> Any:
    """The object that a config node describes.

    Args:
        key: where the node stands, for messages.
        node: with `_target_`, and its arguments.
        **more: arguments that only Python knows.

    Raises:
        UserError: the constructor refuses a value.
    """
    try:
        return instantiate(node, _convert_="all", **more)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):
            raise UserError(f"{key}: {' '.join(str(cause).split())}") from None
        raise


def _check(key: str, node: object) -> None:
    """Walks a config tree; every `_target_` node has to fit what it builds."""
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        _check_call(key, node)
    for name, value in node.items():
        _check(f"{key}.{name}", value)


def _check_call(key: str, node: Mapping[str, object]) -> None:
    target = _locate(key, str(node["_target_"]))
    parameters = inspect.signature(target).parameters
    hints = get_type_hints(target.__init__ if isinstance(target, type) else target)  # type: ignore[misc]
    for name, value in node.items():
        if name in ("_target_", "_partial_", "_convert_", "_recursive_"):
            continue
        if name not in parameters:
            raise UserError(f"{key}.{name}: no such key{did_you_mean(name, list(parameters))}")
        if not (isinstance(value, Mapping) and "_target_" in value):
            _check_value(f"{key}.{name}", value, hints.get(name, Any))


def _locate(key: str, target: str) -> Callable[..., object]:
    try:
        return get_method(target)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{key}._target_={target}: cannot be imported ({' '.join(str(error).split())})"
        ) from None


def _check_value(key: str, value: object, hint: Any) -> None:
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        messages = dict.fromkeys(str(e["msg"]) for e in error.errors())
        raise UserError(f"{key}={value}: {'; '.join(messages)}") from None
