"""One evaluation of a trained model: an experiment's attack and conditions, and their result."""

from collections.abc import Sequence
from typing import Any, final

import torch

from avrobust.analyses.verdict.checks import Context
from avrobust.analyses.verdict.compute import judge
from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.targeted import Targeted
from avrobust.data.batches import SplitBatches
from avrobust.data.clips import Skipped
from avrobust.errors import UserError
from avrobust.evaluation.conditions import Condition
from avrobust.evaluation.evaluate import all_conditions, evaluate
from avrobust.experiments.build import build
from avrobust.experiments.results import (
    AttackFacts,
    EvaluationResult,
    Result,
    SkippedClip,
    VerdictResult,
)
from avrobust.experiments.runs import Run, provenance, run_for, training_result
from avrobust.experiments.settings import Experiment
from avrobust.experiments.sources import sources
from avrobust.models.classifier import AVClassifier
from avrobust.tasks.examples import Examples
from avrobust.tasks.loaded import Loaded
from avrobust.tasks.records import condition_results, records_as_csv
from avrobust.tasks.setup import build_parts, report_overlaps
from avrobust.tasks.sibling import accuracy_under, load_sibling, trained_sibling
from avrobust.threats import Threat
from avrobust.types import Record
from avrobust.utils.console import track


@final
class Evaluation:
    """What an attack on a trained model needs, refused early if something does not fit.

    Args:
        experiment: with an attack.

    Raises:
        UserError: attack, threat, conditions, model and data do not fit each other.
    """

    def __init__(self, experiment: Experiment) -> None:
        settings = experiment.evaluation
        self.experiment, self.settings = experiment, settings
        self._sources = sources(experiment)  # before the code is imported
        self._weights: dict[str, str] = {}  # of all trainings that the numbers rest on
        self.attack: Attack = build("attack", settings.attack)
        if settings.target:
            self.attack = Targeted(self.attack, settings.target)
        self.suite: dict[str, Threat] = build("threat", settings.threat)
        for threat in self.suite.values():
            self.attack.validate_norms(threat)
        self.extra_conditions: list[Condition] = []
        for name, option in settings.conditions.items():
            self.extra_conditions.append(build(f"conditions.{name}", option))
        self.conditions = self._all_conditions()
        self.parts = build_parts(experiment.model, experiment.execution)
        self.attack.validate(self.parts.model.head.out_features)
        report_overlaps(self.parts.data)
        self.run = run_for(experiment, self.parts.data.fingerprint())
        self._skipped: list[Skipped] = []
        self._unsupported: list[str] = []  # of all objectives

    def _all_conditions(self) -> list[Condition]:
        """All conditions, clean first."""
        try:
            conditions = all_conditions(self.attack, self.suite, self.extra_conditions)
        except ValueError as error:
            raise UserError(f"conditions: {error}") from None
        _check_titles(conditions)
        return conditions

    def batches(self) -> SplitBatches:
        """The clips to attack."""
        return self.parts.batches(
            self.settings.split, self.experiment.execution, self.settings.clips
        )

    def examples(self) -> Examples:
        """An empty keeper of the clips that the run keeps."""
        return Examples(self.batches().keys, self.experiment.execution.examples)

    def records(
        self,
        loaded: Loaded,
        device: torch.device,
        examples: Examples,
        objective: Objective = cross_entropy,
        title: str = "",
    ) -> list[Record]:
        """What the model predicts for every clip under every condition.

        Args:
            loaded: the model and its cache.
            device: where the model lives.
            examples: keeps a few clips.
            objective: what the attack maximizes.
            title: the objective's name, for the progress bar.
        """
        batches, model = self.batches(), self.experiment.model
        words = [self.settings.attack.name, title, "on", model.fusion.name]
        records = evaluate(
            loaded.model,
            track(batches, " ".join(word for word in words if word), len(batches)),
            self.attack,
            self.suite,
            conditions=self.extra_conditions,
            objective=objective,
            seed=model.seed,
            device=device,
            observe=examples.keep,
            cache=loaded.cache,
            unsupported=self._unsupported,
        )
        self._skipped = batches.skipped
        return records

    def verdict(
        self,
        model: AVClassifier,
        device: torch.device,
        records: Sequence[Record],
        *,
        adaptive: bool = False,
    ) -> VerdictResult | None:
        """Whether the numbers are to be trusted; None for attacks that do not judge themselves.

        Args:
            model: the attacked one.
            device: where it lives.
            records: of the attack.
            adaptive: the attack knew the defense.
        """
        if not self.attack.judges_itself:
            return None
        batches = self.batches()
        context = Context(
            optimizes=self.parts.defense.optimizes,
            adaptive=adaptive,
            transfer=self._transfer(model, device),
        )
        shown = track(batches, "verdict", len(batches))
        return judge(model, shown, self.suite, records, context=context, device=device)

    def _transfer(self, model: AVClassifier, device: torch.device) -> dict[str, float] | None:
        """Accuracies under clips made on the undefended sibling, if it is trained."""
        sibling = trained_sibling(self.experiment, self.parts.data.fingerprint())
        if sibling is None:
            return None
        source = load_sibling(self.experiment, sibling).to(device)
        self.rests_on(training_result(sibling))
        batches = self.batches()
        shown = track(batches, "clips of the undefended model", len(batches))
        return accuracy_under(model, shown, self.suite, source, device)

    def rests_on(self, *results: Result) -> None:
        """Notes further results that the numbers of this one depend on."""
        for result in results:
            self._weights |= result.weights

    def result(
        self,
        records: Sequence[Record],
        model_run: Run,
        verdict: VerdictResult | None,
        seconds: float,
        **more: Any,
    ) -> EvaluationResult:
        """The result of these records.

        Args:
            records: of all clips and conditions.
            model_run: the training run of the model.
            verdict: on the records, if there is one.
            seconds: that the evaluation took.
            **more: what only some tasks know, see `EvaluationResult`.
        """
        parts, model = self.parts, self.parts.model
        assert self.run.task != "train"
        training = training_result(model_run)
        self.rests_on(training)
        return EvaluationResult(
            task=self.run.task,
            run_id=self.run.run_id,
            experiment=self.experiment,
            data=parts.data.fingerprint(),
            model=model_run.run_id,
            epochs=training.epochs,
            model_modalities=tuple(model.fusion.uses),
            attack=_attack_facts(self.attack),
            conditions=condition_results(records, self.conditions),
            skipped=tuple(SkippedClip(clip.key, clip.reason) for clip in self._skipped),
            unsupported=tuple(dict.fromkeys(self._unsupported)),
            seconds=round(seconds, 1),
            provenance=provenance(),
            verdict=verdict,
            sources=self._sources,
            weights=self._weights,
            **more,
        )

    def finish(
        self, result: EvaluationResult, records: Sequence[Record], examples: Examples
    ) -> EvaluationResult:
        """Writes the files of the run, the result last."""
        self.run.write_config(self.experiment)
        self.run.write("examples.csv", records_as_csv(records, self.parts.data.classes))
        examples.write(self.run, self.conditions)
        self.run.write_result(result)
        return result


def _attack_facts(attack: Attack) -> AttackFacts:
    """What the attack declares that tables need to know."""
    return AttackFacts(attack.bounded, attack.kind, attack.paper_name)


def _check_titles(conditions: Sequence[Condition]) -> None:
    """Refuses conditions that tables could not tell apart.

    Raises:
        UserError: two conditions have one title.
    """
    names: dict[str, str] = {}
    for condition in conditions:
        other = names.setdefault(condition.title, condition.name)
        if other != condition.name:
            raise UserError(
                f"conditions: {other} and {condition.name} have the same title, {condition.title!r}"
            )
