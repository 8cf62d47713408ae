"""Every number that can be set has a range, and a value outside of it is refused everywhere."""

import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt

import avrobust
from avrobust.analyses.discover import discover
from avrobust.cli.commands import prepare_command, report_command
from avrobust.experiments.settings import AttackSettings, Execution, ModelSettings
from avrobust.preparation.prepare import prepare
from avrobust.ranges import NUMBERS, NonNegativeFloat, PositiveInt, leaves
from avrobust.threats import Budget
from avrobust.training.recipe import Recipe
from avrobust.utils.arguments import CheckedArguments, parameter_types, violation
from tests.support import CONFIGS

Target = Callable[..., object]


def targets_of(node: object) -> Iterator[str]:
    """Every `_target_` in a config, at any depth."""
    if isinstance(node, dict):
        yield from [str(node["_target_"])] if "_target_" in node else []
        for value in node.values():
            yield from targets_of(value)


def subclasses(base: type) -> Iterator[type]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def load_package() -> None:
    for module in pkgutil.walk_packages(avrobust.__path__, "avrobust."):
        if module.name.startswith(("avrobust.attacks", "avrobust.defenses", "avrobust.models")):
            import_module(module.name)


def options_of_the_configs() -> set[Target]:
    names: set[str] = set()
    for path in CONFIGS.rglob("*.yaml"):
        names.update(targets_of(yaml.safe_load(path.read_text())))
    ours = set()
    for name in names:
        if name.startswith("avrobust."):
            module, _, attribute = name.rpartition(".")
            ours.add(getattr(import_module(module), attribute))
    return ours


def all_targets() -> list[Target]:
    """All that a user sets numbers of: options, settings, and the classes of the Python API."""
    load_package()
    classes = {c for c in subclasses(CheckedArguments) if c.__module__.startswith("avrobust.")}
    settings = {Recipe, ModelSettings, AttackSettings, Execution, Budget, prepare}
    settings |= {analysis.settings for analysis in discover().values()}
    targets = options_of_the_configs() | classes | settings
    return sorted(targets, key=lambda target: f"{target.__module__}.{target.__qualname__}")


TARGETS = all_targets()
NUMBER_PARAMETERS = [
    pytest.param(target, name, hint, id=f"{target.__name__}-{name}")
    for target in TARGETS
    for name, hint in parameter_types(target).items()
    if any(leaf.kind in NUMBERS for leaf in leaves(hint))
]


def without_range(target: Target) -> list[str]:
    """The parameters with a number that lacks a lower or an upper bound."""
    names = []
    for name, hint in parameter_types(target).items():
        for leaf in leaves(hint):
            kinds = {type(bound) for bound in leaf.bounds}
            has_range = kinds & {Ge, Gt} and kinds & {Le, Lt}
            if leaf.kind in NUMBERS and not has_range:
                names.append(name)
    return names


def outside(hint: Any) -> list[object]:
    """Values that a type with a number refuses: the first ones outside of its range, and others."""
    (first, *_) = [leaf for leaf in leaves(hint) if leaf.kind in NUMBERS]
    values: list[object] = [math.nan, math.inf, -math.inf, True, "3"]
    for bound in first.bounds:
        match bound:
            case Ge(ge=least):
                values.append(least - 1 if first.kind is int else math.nextafter(least, -math.inf))
            case Le(le=most):
                values.append(most + 1 if first.kind is int else math.nextafter(most, math.inf))
            case Gt(gt=limit) | Lt(lt=limit):
                values.append(limit)
    if first.kind is int:
        values.append(1.5)
    kinds = [leaf.kind for leaf in leaves(hint)]
    if str in kinds:  # the name of a device
        values.remove("3")
    return [in_container(hint, value) for value in values]


def in_container(hint: Any, value: object) -> object:
    """The value in as many items as the type's lists have; itself if the type has no list."""
    base = hint.__origin__ if get_origin(hint) is Annotated else hint
    if get_origin(base) in (list, Sequence):
        return [value]
    if get_origin(base) is tuple:
        items = get_args(base)
        return [value] * (1 if Ellipsis in items else len(items))
    return value


def inside(hint: Any) -> object:
    """A value for a parameter; None for an object, which no constructor gets to use here."""
    (first, *_) = leaves(hint)
    if get_origin(first.kind) is Literal:
        return get_args(first.kind)[0]
    return in_container(hint, {int: 2, float: 0.5}.get(first.kind))


def call(target: Target, name: str, value: object) -> None:
    """Calls a target with one argument, and with a stand-in for each other one that it needs."""
    arguments: dict[str, Any] = {}
    hints = parameter_types(target)
    for parameter in inspect.signature(target).parameters.values():
        if parameter.default is parameter.empty:
            arguments[parameter.name] = inside(hints.get(parameter.name, Any))
    target(**{**arguments, name: value})


def test_the_options_are_found() -> None:
    names = {target.__name__ for target in TARGETS}
    assert {"PGD", "FeatureMemory", "ADMM", "LogMel", "Attention", "Prepared", "suite"} <= names
    assert {"EoT", "SurfaceSettings", "Recipe", "synthetic", "prepare", "Execution"} <= names
    assert len(NUMBER_PARAMETERS) > 90


@pytest.mark.parametrize("target", [*TARGETS, prepare_command, report_command])
def test_every_number_has_a_lower_and_an_upper_bound(target: Target) -> None:
    assert without_range(target) == []


@pytest.mark.parametrize(("target", "name", "hint"), NUMBER_PARAMETERS)
def test_a_config_with_a_value_outside_is_refused(target: Target, name: str, hint: Any) -> None:
    for value in outside(hint):
        wrong = violation(target, {name: value})
        assert wrong is not None, value
        assert str(wrong).startswith(f"{name}={value}: must be "), value
        assert "\n" not in str(wrong)


@pytest.mark.parametrize(
    ("target", "name", "hint"),
    [case for case in NUMBER_PARAMETERS if not inspect.isabstract(case.values[0])],
)
def test_a_call_with_a_value_outside_is_refused(target: Target, name: str, hint: Any) -> None:
    for value in outside(hint):
        with pytest.raises(ValueError, match=f"^{name} must be .*, not ") as caught:
            call(target, name, value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", TARGETS)
def test_the_defaults_are_inside(target: Target) -> None:
    defaults = {}
    for parameter in inspect.signature(target).parameters.values():
        if parameter.default is not parameter.empty and parameter.name in parameter_types(target):
            defaults[parameter.name] = parameter.default
    assert violation(target, defaults, plain=True) is None


def planted(steps: int, weight: NonNegativeFloat, layers: tuple[PositiveInt, int]) -> None: ...


def planted_optional(share: Annotated[float, Ge(0)] | None = None) -> None: ...


def test_a_parameter_without_a_range_is_found() -> None:
    assert without_range(planted) == ["steps", "layers"]
    assert without_range(planted_optional) == ["share"]
