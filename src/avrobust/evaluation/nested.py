"""Which attacks lie within the budgets of which others: an attacker may do less than allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from avrobust.evaluation.conditions import Condition
from avrobust.threats import Budget, Threat


def nested_conditions(conditions: Sequence[Condition]) -> dict[str, tuple[str, ...]]:
    """The attacks within each attack's budgets, by the conditions' names.

    Attacks that may leave their budget are left out, and so are attacks that hold no other one.
    """
    threats: dict[str, Threat] = {}
    for condition in conditions:
        if condition.adversarial and condition.bounded:
            threats[condition.name] = condition.threat
    return nested(threats)


def nested(suite: Mapping[str, Threat]) -> dict[str, tuple[str, ...]]:
    """The threats within each threat, by name; threats that hold no other one are left out.

    Args:
        suite: the threats by name.
    """
    inner: dict[str, tuple[str, ...]] = {}
    for wide, wide_threat in suite.items():
        names = []
        for name, threat in suite.items():
            if name != wide and threat_within(threat, wide_threat):
                names.append(name)
        if names:
            inner[wide] = tuple(names)
    return inner


def threat_within(narrow: Threat, wide: Threat) -> bool:
    """Whether every clip that one threat allows is allowed by the other one too."""
    for inner, outer in zip(narrow.budgets, wide.budgets, strict=True):
        if inner is not None and (outer is None or not _budget_within(inner, outer)):
            return False
    return True


def _budget_within(narrow: Budget, wide: Budget) -> bool:
    """The same for budgets; those of different norms or units are not compared: False."""
    return replace(wide, eps=narrow.eps) == narrow and narrow.eps <= wide.eps
