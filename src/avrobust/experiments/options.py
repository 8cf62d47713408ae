"""What was chosen: one option of a config group, with the values it was given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

Node = dict[str, Any]  # a config node as plain values
DIRECTIVES = ("_target_", "_partial_", "_convert_", "_recursive_")  # Hydra's own keys of a node


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
    """

    name: str
    target: str
    values: dict[str, Any] = field(default_factory=dict)
    parts: "dict[str, Option]" = field(default_factory=dict)
    partial: bool = False

    def node(self) -> Node:
        """The config node that Hydra instantiates."""
        node: Node = {"_target_": self.target, **self.values}
        for key, part in self.parts.items():
            node[key] = part.node()
        if self.partial:
            node["_partial_"] = True
        return node

    def settings(self) -> Node:
        """The arguments as one tree of plain values."""
        tree = dict(self.values)
        for key, part in self.parts.items():
            tree[key] = part.settings()
        return tree

    def identity(self, without: tuple[str, ...] = ()) -> Node:
        """What tells this choice apart from others: names and values, no import path.

        Args:
            without: arguments that change no number.
        """
        values = {key: _identity_of(value) for key, value in self.values.items()}
        parts = {key: part.identity() for key, part in self.parts.items()}
        kept = {key: value for key, value in {**values, **parts}.items() if key not in without}
        return {"option": self.name, **kept}

    def with_values(self, **values: object) -> "Option":
        """The same option with other values of some arguments."""
        return Option(self.name, self.target, {**self.values, **values}, self.parts, self.partial)


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
    """
    target = str(node["_target_"])
    values: Node = {}
    parts: dict[str, Option] = {}
    for key, value in node.items():
        if key in DIRECTIVES:
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            parts[str(key)] = option_from(value, f"{path}.{key}", chosen)
        else:
            values[str(key)] = value
    name = chosen.get(path, class_name(target))
    return Option(name, target, values, parts, bool(node.get("_partial_", False)))
