"""From an option's target to the class that it names. Decides what may be built; builds nothing.

A target comes from a YAML file or from the result.json of a run, and either may be a stranger's.
Three checks stand before a call: the name begins with an allowed package (before anything is
imported), the object is defined in an allowed package (not merely reachable through one), and it is
of the kind that its place in the config is for.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import resolve_name
from types import FunctionType
from typing import Any, get_args, get_type_hints

from avrobust.errors import UserError
from avrobust.experiments.options import Option, nodes_in

ALLOW = "AVROBUST_ALLOW"  # the environment variable: packages of the user's own, by commas
OWN = "avrobust"
# Of Lightning what the options in configs/ name; no package that a user did not allow is trusted.
LIGHTNING = (
    "pytorch_lightning.Trainer",
    "pytorch_lightning.loggers.CSVLogger",
    "pytorch_lightning.loggers.TensorBoardLogger",
)
# What the option of a group is. The names are imported only where they are needed.
KINDS = {
    "dataset": "avrobust.data.prepared.Prepared",
    "audio": "avrobust.models.encoders.base.AudioEncoder",
    "visual": "avrobust.models.encoders.base.VisualEncoder",
    "fusion": "avrobust.models.fusion.base.Fusion",
    "defense": "avrobust.defenses.base.Defense",
    "attack": "avrobust.attacks.base.Attack",
    "threat": "avrobust.threats.Threat",
    "conditions": "avrobust.evaluation.conditions.Condition",
    "logger": "avrobust.tracking.loggers.Tracker",
    "trainer": "pytorch_lightning.Trainer",
}
NEVER_A_PART = ("dataset", "trainer")  # groups whose options are not built inside another option
LONGEST_NAME = 300  # characters of a target
# Modules of the classes in a type that say nothing about what is built: dict, Callable, None.
CONTAINERS = ("builtins", "collections.abc", "typing", "types")


def allow(packages: Iterable[str]) -> None:
    """Allows packages for this process and for those that it starts, such as DDP's."""
    os.environ[ALLOW] = ",".join(dict.fromkeys([*_allowed(), *packages]))


def check_names(path: str, option: Option) -> None:
    """Checks the names of all that an option builds, its parts included. Imports nothing.

    Args:
        path: of the option in the config, for messages.
        option: what was chosen.

    Raises:
        UserError: a target is in a package that is not allowed.
    """
    for place, target in _targets(path, option):
        _check_name(place, target)


def locate(path: str, target: str, wanted: object = None) -> Callable[..., Any]:
    """The class or function that a target names.

    Args:
        path: of the option in the config, for messages.
        target: its dotted path: a module and a name in it.
        wanted: the type of the parameter that it is for; `Any` if that says nothing, None for that
            of the group at `path`.

    Raises:
        UserError: it is not allowed there, or cannot be imported.
    """
    wanted = kind_of(path) if wanted is None else wanted
    _check_name(path, target)
    module, _, name = target.rpartition(".")
    try:
        builder = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}._target_={target}: cannot be imported ({reason})") from None
    if not isinstance(builder, type | FunctionType):
        raise UserError(f"{path}._target_={target}: neither a class nor a function")
    defined = str(builder.__module__)
    # Lightning offers its classes under shorter names than those that they are defined under.
    packages = [*_packages(), *(name.partition(".")[0] for name in LIGHTNING if name == target)]
    if not any(_within(defined, package) for package in packages):
        raise UserError(f"{path}._target_={target}: defined in {defined}, {_refusal(defined)}")
    _check_kind(path, target, builder, wanted)
    return builder


def kind_of(path: str) -> object:
    """What the option at a place of the config is, for example an `Attack`; `Any` if unknown."""
    group = path.removeprefix("source.")
    if group.startswith("conditions."):
        group = "conditions"
    return resolve_name(KINDS[group]) if group in KINDS else Any


def may_be_option(wanted: object) -> bool:
    """Whether an option can stand where this type is wanted: it names a class, or says nothing."""
    return wanted is Any or bool(_classes(wanted))


def built_class(group: str, option: Option) -> type:
    """The class of what an option builds, without building it.

    Args:
        group: the option's group, for messages.
        option: what was chosen.

    Raises:
        UserError: its target is not allowed, cannot be imported or is no class.
    """
    target = locate(group, option.target)
    if not isinstance(target, type):
        raise UserError(f"{group}._target_={option.target}: not a class")
    return target


def _targets(path: str, option: Option) -> Iterator[tuple[str, str]]:
    """The targets of an option and of all that stands in its values, each with its place."""
    yield path, option.target
    for name, part in option.parts.items():
        yield from _targets(f"{path}.{name}", part)
    for place, node in nodes_in(path, option.values):
        yield from _targets(place, node)


def _check_name(path: str, target: str) -> None:
    """Refuses a target by its text alone."""
    module, _, name = target.rpartition(".")
    if len(target) > LONGEST_NAME:
        raise UserError(f"{path}._target_={target[:80]}...: no name has {len(target)} characters")
    if not module or not all(part.isidentifier() for part in target.split(".")):
        raise UserError(f"{path}._target_={target}: not a module and a name in it, such as a.b.C")
    if name.startswith("_"):
        raise UserError(f"{path}._target_={target}: a private name")
    if target in LIGHTNING or any(_within(target, package) for package in _packages()):
        return
    raise UserError(f"{path}._target_={target}: {_refusal(target)}")


def _refusal(name: str) -> str:
    package = name.partition(".")[0]
    return f"the package {package} is not allowed; if you trust it: {ALLOW}={package}"


def _check_kind(path: str, target: str, builder: Callable[..., Any], wanted: object) -> None:
    """Refuses what does not belong in its place.

    A class has to be of a class that the place's type names, and a function has to say that it
    returns such an object. Where the type names no class, our own code still has to be an option of
    some group, and no data set, which may be generated and written when it is built.
    """
    ours = _within(str(builder.__module__), OWN)
    if isinstance(builder, type):
        products = {builder}
    else:
        products = _classes(_returned(builder))
        if not products:
            raise UserError(
                f"{path}._target_={target}: does not say what it returns; give it a return type"
            )
    kinds = _classes(wanted)
    if not kinds and ours:
        kinds = {resolve_name(KINDS[group]) for group in KINDS if group not in NEVER_A_PART}
    fits = bool(products) and all(issubclass(each, tuple(kinds)) for each in products)
    if kinds and not fits:
        names = " or ".join(sorted(kind.__name__ for kind in kinds)) if _classes(wanted) else ""
        raise UserError(f"{path}._target_={target}: is no {names or 'option of any group'}")


def _returned(builder: Callable[..., Any]) -> object:
    """The type that a function returns; `Any` where only a type checker imports it."""
    try:
        return get_type_hints(builder).get("return", Any)
    except NameError:
        return Any


def _classes(hint: object) -> set[type]:
    """The classes that a type names, for example `Fusion` of `Callable[..., Fusion] | None`."""
    if parts := get_args(hint):
        return set().union(*map(_classes, parts))
    if isinstance(hint, list):  # the parameters of a Callable
        return set()
    named = isinstance(hint, type) and hint.__module__ not in CONTAINERS
    return {hint} if named else set()  # type: ignore[arg-type]


def _packages() -> tuple[str, ...]:
    return (OWN, *_allowed())


def _allowed() -> list[str]:
    """The packages that the user allowed."""
    return re.findall(r"[^\s,]+", os.environ.get(ALLOW, ""))


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
