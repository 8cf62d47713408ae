"""What was chosen: one option of a config group, with the values it was given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

from avrobust.errors import UserError

Node = dict[str, Any]  # a config node as plain values
DIRECTIVES = ("_target_", "_partial_", "_convert_", "_recursive_")  # Hydra's own keys of a node
REVISION = "revision"  # our own key of a node: it counts the changes of the option's numbers


@final
@dataclass(frozen=True)
class Option:
    """One choice, such as `fusion=concat`.

    Args:
        name: the option's name; of a node that no group chose, the name of the class it builds.
        target: the import path of the class or function that it builds.
        values: its plain arguments.
        parts: its arguments that are options themselves, such as the solver of a feature memory.
        partial: it builds a function that takes the remaining arguments.
        revision: how often the numbers of the option have changed: `revision` of its YAML file.
    """

    name: str
    target: str
    values: dict[str, Any] = field(default_factory=dict)
    parts: "dict[str, Option]" = field(default_factory=dict)
    partial: bool = False
    revision: int = 0

    def settings(self) -> Node:
        """The arguments as one tree of plain values, with the revisions that are not 0."""
        tree = dict(self.values)
        for key, part in self.parts.items():
            tree[key] = part.settings()
        return {**tree, **self._revision()}

    def identity(self, without: tuple[str, ...] = ()) -> Node:
        """What tells this choice apart from others: name, values and revision, no import path.

        A revision of 0 is left out, so that an option without one keeps the identity that it had
        before there were revisions.

        Args:
            without: arguments that change no number.
        """
        values = {key: _identity_of(value) for key, value in self.values.items()}
        parts = {key: part.identity() for key, part in self.parts.items()}
        kept = {key: value for key, value in {**values, **parts}.items() if key not in without}
        return {"option": self.name, **kept, **self._revision()}

    def with_values(self, **values: object) -> "Option":
        """The same option with other values of some arguments."""
        return replace(self, values={**self.values, **values})

    def _revision(self) -> Node:
        return {REVISION: self.revision} if self.revision else {}


def _identity_of(value: Any) -> Any:
    """A plain value; inside lists a node stands by the name of its class."""
    if isinstance(value, list):
        return [_identity_of(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    tree = {key: _identity_of(item) for key, item in value.items() if key not in DIRECTIVES}
    if "_target_" in value:
        tree["option"] = class_name(str(value["_target_"]))
    return tree


def class_name(target: str) -> str:
    """The last part of an import path."""
    return target.rpartition(".")[2]


def option_from(node: Mapping[str, Any], path: str, chosen: Mapping[str, str]) -> Option:
    """The option that stands at one place of a resolved config.

    Args:
        node: with `_target_`.
        path: of the node, for example "defense.base".
        chosen: Hydra's choices: the name of the option by the path it was put at.

    Raises:
        UserError: a revision is no integer of at least 0.
    """
    target = str(node["_target_"])
    values: Node = {}
    parts: dict[str, Option] = {}
    for key, value in node.items():
        if key in DIRECTIVES or key == REVISION:
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            parts[str(key)] = option_from(value, f"{path}.{key}", chosen)
        else:
            values[str(key)] = value
    name = chosen.get(path, class_name(target))
    partial = bool(node.get("_partial_", False))
    return Option(name, target, values, parts, partial, _revision_of(node, path))


def nodes_in(path: str, value: Any) -> Iterator[tuple[str, Option]]:
    """The options that stand inside a plain value, such as a list of callbacks, with their places.

    Args:
        path: of the value in the config, for example "trainer.callbacks".
        value: lists, mappings and scalars; a mapping with `_target_` is an option.
    """
    if isinstance(value, Mapping) and "_target_" in value:
        yield path, option_from(value, path, {})
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from nodes_in(f"{path}.{key}", item)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from nodes_in(f"{path}.{place}", item)


def _revision_of(node: Mapping[str, Any], path: str) -> int:
    value = node.get(REVISION, 0)
    if type(value) is not int or value < 0:  # True is an int as well
        raise UserError(f"{path}.{REVISION}={value}: must be an integer of at least 0")
    return value
