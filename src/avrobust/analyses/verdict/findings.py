"""What was seen of a model under one condition, batch by batch, and the checks of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from avrobust.analyses.verdict import directions, probe
from avrobust.analyses.verdict.checks import (
    Check,
    Context,
    direction_check,
    probe_checks,
    record_checks,
)
from avrobust.analyses.verdict.directions import Directions
from avrobust.analyses.verdict.margin import frozen_margin
from avrobust.analyses.verdict.probe import Probe
from avrobust.analyses.verdict.reach import moving
from avrobust.attacks.problem import Problem, take
from avrobust.attacks.restarts import random_start
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Clip, Modality, Record


@final
class Findings:
    """What was seen of the clips that a model recognizes under one condition.

    Args:
        name: the condition's.
        threat: the condition's.
    """

    def __init__(self, name: str, threat: Threat) -> None:
        self.name, self.threat = name, threat
        self.keys: set[str] = set()
        self.unmoved = 0  # clips of batches whose output nothing in the budget changes
        self.probes: list[Probe] = []
        self.directions: dict[Modality, list[Directions]] = {}
        self._compared = 0  # clips whose gradients were compared with differences

    def add(self, problem: Problem, keys: Sequence[str]) -> None:
        """Looks at the clips of a batch, all recognized, with these keys."""
        modalities = moving(problem)
        if not modalities:
            self.unmoved += len(problem)
            return
        self.keys.update(keys)
        # A modality that cannot change the output has no gradient to be wrong.
        problem = replace(problem, threat=problem.threat.only(modalities))
        watched, last = probe.probe(problem)
        self.probes.append(watched)
        self._compare(problem, last)

    def _compare(self, problem: Problem, last: Clip) -> None:
        """Compares gradients with differences at the clean clips, random points and iterates."""
        index = problem.label.new_tensor(range(len(problem)))[: directions.CLIPS - self._compared]
        if not len(index):
            return
        self._compared += len(index)
        points = [problem.clip, random_start(problem), last]
        points = [take(point, index) for point in points]
        problem = problem.take(index)
        problem = problem.with_objective(frozen_margin(problem.logits(problem.clip), problem.label))
        for modality in problem.threat.modalities:
            looked = directions.look(problem, modality, points)
            self.directions.setdefault(modality, []).append(looked)

    def nothing_to_judge(self) -> str:
        """Why no accuracy under this condition can be wrong; "" if one can."""
        if self.probes or not self.unmoved:
            return ""
        if all(not budget.eps for budget in self.threat.budgets if budget is not None):
            return "eps is 0"
        return f"nothing tried in the budget changes the output for any of {self.unmoved} clips"

    def checks(self, classes: int, records: Sequence[Record], context: Context) -> list[Check]:
        """The checks of the condition; none if no clip was looked at.

        Args:
            classes: of the model.
            records: of the attack, under any conditions.
            context: what is known besides the model.
        """
        if not self.probes:
            return []
        modalities = [modality for modality in MODALITIES if modality in self.directions]
        fooled = self._fooled_by_attack(records)
        watched = probe.joined(self.probes)
        checks = probe_checks(self.name, modalities, watched, classes, fooled)
        for modality in modalities:
            result = directions.agreement(directions.joined_directions(self.directions[modality]))
            checks.append(direction_check(self.name, modality, result))
        return checks + record_checks(self.name, records, context)

    def _fooled_by_attack(self, records: Sequence[Record]) -> int | None:
        """How many of the clips looked at the attack fooled; None without their records."""
        outcomes = []
        for record in records:
            if record.condition == self.name and record.key in self.keys:
                outcomes.append(not record.correct)
        return sum(outcomes) if len(outcomes) == len(self.keys) else None
