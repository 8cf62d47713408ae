"""Trains a defended model and attacks it with what an attacker who knows the defense would try."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from avrobust.attacks.gradients import Objective
from avrobust.defenses.base import Defense
from avrobust.errors import UserError
from avrobust.evaluation.metrics import robustness_improvement
from avrobust.evaluation.paired import PairedDifference, paired_difference
from avrobust.evaluation.summaries import (
    Recognized,
    recognized_clips,
    robust_accuracy,
    sum_queries,
    worst_case,
    worst_of_nested,
)
from avrobust.experiments.kept_clips import unreadable_file
from avrobust.experiments.recognized import read_recognized
from avrobust.experiments.result_files import folder_of
from avrobust.experiments.results import Comparison, EvaluationResult
from avrobust.experiments.settings import UNDEFENDED, Adaptive, Experiment
from avrobust.models.classifier import AVClassifier
from avrobust.tasks import attack as undefended_task
from avrobust.tasks.evaluation import Evaluation
from avrobust.tasks.examples import worst_examples
from avrobust.tasks.loaded import load_for_evaluation
from avrobust.tasks.setup import evaluating
from avrobust.tasks.sibling import undefended_experiment
from avrobust.tasks.train import trained
from avrobust.tracking.loggers import publish
from avrobust.types import Record


def main(experiment: Experiment) -> EvaluationResult:
    """What `python defend.py` does: the row of the defended model under the adaptive attack.

    The row has RI and p-values. Both are against the undefended model of the same settings, which
    is trained and attacked first if it is not there.
    """
    _validate(experiment)
    evaluation = Evaluation(experiment)
    with evaluation.run.claim(experiment) as result:
        if result is None:
            result = _defend(evaluation, experiment.for_prerequisites())
    publish(experiment, evaluation.run)
    assert isinstance(result, EvaluationResult)
    return result


def _validate(experiment: Experiment) -> None:
    settings = experiment.evaluation
    if not experiment.model.defended:
        raise UserError(
            f"defense={UNDEFENDED}: what it is compared with is python attack.py; choose a defense"
        )
    if settings.source:
        raise UserError(
            "source: defend.py attacks the defended model itself; transfer is a matter of attack.py"
        )
    if settings.target:
        raise UserError(
            "target: what a defense declares leads to no class; "
            "python attack.py attacks it with a target"
        )


def _defend(evaluation: Evaluation, experiment: Experiment) -> EvaluationResult:
    settings = experiment.evaluation
    undefended = undefended_task.main(undefended_experiment(experiment))
    model_run = trained(experiment, evaluation.parts)
    started = time.monotonic()
    parts = evaluation.parts
    declared = declared_objectives(parts.defense, parts.model, settings.adaptive)
    evaluation.attack, objectives = evaluation.attack.adaptive_attack(declared)
    by_objective: dict[str, list[Record]] = {}
    kept = []
    with evaluating(experiment.execution, amp=settings.amp) as device:
        loaded = load_for_evaluation(
            model_run,
            evaluation.parts.model,
            evaluation.batches(),
            device,
            compiled=settings.compile,
        )
        for name, objective in objectives.items():
            examples = evaluation.examples()
            by_objective[name] = evaluation.records(loaded, device, examples, objective, name)
            kept.append(examples)
        evaluations = list(by_objective.values())
        hardest = worst_case(evaluations)
        records = sum_queries(hardest, evaluations)
        adaptive = len(declared) > 1
        verdict = evaluation.verdict(loaded.model, device, records, adaptive=adaptive)
    seconds = time.monotonic() - started
    evaluation.rests_on(undefended)
    result = evaluation.result(records, model_run, verdict, seconds)
    runs = Path(experiment.execution.runs)
    comparison = compare_with_undefended(result, records, undefended, by_objective, runs)
    examples = worst_examples(kept, evaluations, hardest)
    return evaluation.finish(replace(result, comparison=comparison), records, examples)


def declared_objectives(
    defense: Defense, model: AVClassifier, adaptive: Adaptive
) -> Mapping[str, Objective]:
    """What an attacker who knows the defense maximizes, by name.

    Args:
        defense: of the attacked model.
        model: the attacked one.
        adaptive: "worst" is all that the defense declares, "paper" the one that the paper's
            released script takes.
    """
    if adaptive == "paper":
        return defense.paper_objective(model)
    return defense.objectives(model)


def compare_with_undefended(
    result: EvaluationResult,
    records: Sequence[Record],
    undefended: EvaluationResult,
    by_objective: Mapping[str, Sequence[Record]],
    runs: Path,
) -> Comparison:
    """The defended model against the undefended one, on the same clips.

    Args:
        result: of the defended model.
        records: of the defended model.
        undefended: the result of the undefended model.
        by_objective: records of the defended model by objective of the attack.
        runs: the folder of all runs.
    """
    nested = {condition.name: condition.nested for condition in result.conditions}
    ours = worst_of_nested(recognized_clips(records), nested)
    folder = folder_of(runs, "attack", undefended.run_id)
    if damage := unreadable_file(folder, undefended):
        path, reason = damage
        raise UserError(f"{path}: {reason}; run that attack again with force=true")
    theirs = read_recognized(folder, undefended)
    paired = {}
    for condition in result.conditions:
        paired[condition.name] = _paired(ours, theirs, {condition.name: 1.0})
    shares = {result.clean.name: 1.0}
    for condition in result.attacked:
        shares[condition.name] = 1 / len(result.attacked)
    gain = _paired(ours, theirs, shares)
    accuracies = {}
    for objective, its_records in by_objective.items():
        accuracies[objective] = robust_accuracy(its_records, nested)
    return Comparison(
        run_id=undefended.run_id,
        epochs=undefended.epochs,
        accuracy=undefended.accuracy,
        average=undefended.average,
        ri=_robustness_improvement(result, undefended),
        ri_interval=(gain.low, gain.high),
        ri_p=gain.p,
        objectives=accuracies,
        only_defended={name: one.gained for name, one in paired.items()},
        only_undefended={name: one.lost for name, one in paired.items()},
        p={name: one.p for name, one in paired.items()},
    )


def _paired(ours: Recognized, theirs: Recognized, shares: Mapping[str, float]) -> PairedDifference:
    """The difference of two models on the same clips.

    Args:
        ours: what one model recognizes.
        theirs: what the other one does.
        shares: the weight of each condition in a clip's score.
    """
    differences: dict[str, float] = {}
    for condition, weight in shares.items():
        for key, recognized in ours[condition].items():
            change = weight * (recognized - theirs[condition][key])
            differences[key] = differences.get(key, 0.0) + change
    return paired_difference(list(differences.values()))


def _robustness_improvement(result: EvaluationResult, undefended: EvaluationResult) -> float:
    return robustness_improvement(
        result.clean.accuracy.percent,
        result.average,
        undefended.clean.accuracy.percent,
        undefended.average,
    )
