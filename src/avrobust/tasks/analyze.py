"""Runs an analysis on a finished run: what `avrobust surface RUN` and its like do."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from avrobust.analyses.base import Analysis, Analyzed, PaperAttack, Subject
from avrobust.analyses.outcomes import write_outcome
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.errors import UserError
from avrobust.experiments.build import check, check_targets
from avrobust.experiments.result_files import ResultError, read_result
from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.runs import training_run
from avrobust.experiments.settings import Experiment
from avrobust.experiments.sources import stale
from avrobust.report.row import title
from avrobust.tasks.defend import declared_objectives
from avrobust.tasks.evaluation import Evaluation
from avrobust.tasks.loaded import load_for_evaluation
from avrobust.tasks.setup import check_data, evaluating
from avrobust.tasks.train import trained
from avrobust.utils.console import warn
from avrobust.utils.files import remove_leftovers


def run_analysis(analysis: Analysis[Any, Any], folder: Path, settings: Any) -> None:
    """Analyzes one finished run, writes what came out into its folder and prints it.

    Raises:
        UserError: there is no finished attack in `folder`, or the analysis does not fit it.
    """
    result = finished_evaluation(folder)
    remove_leftovers(folder)
    analysis.validate(result, settings)
    with ExitStack() as stack:
        subject = _subject(folder, result, stack)
        outcome = analysis.compute(subject, settings)
    path = write_outcome(analysis, folder, outcome)
    analyzed = Analyzed(result, title(result), folder, outcome)
    for chart in analysis.charts([analyzed]):
        chart.chart.save(folder, chart.name)
    for line in analysis.summary(analyzed):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"written: {path}; avrobust report draws it\n")


def finished_evaluation(folder: Path) -> EvaluationResult:
    """The result of a finished attack or defense, whose folder may have moved since.

    Raises:
        UserError: there is none in `folder`, its clips were made on another model, or it names
            code that is not allowed.
    """
    try:
        result = read_result(folder)
    except ResultError as error:
        raise UserError(f"{folder}: {error}") from None
    if result:
        check_targets(result.experiment)
    if not isinstance(result, EvaluationResult):
        raise UserError(f"{folder}: not the folder of a finished attack, such as runs/attack/RUN")
    if result.white_box is not None:
        raise UserError(
            f"{folder}: its clips were made on another model; "
            "give a run that attacks the model itself"
        )
    return result


def _check_code(result: EvaluationResult, runs: Path) -> None:
    """Refuses a result of other code or weights: an analysis would be of another model than it.

    A result of a version that did not keep its code's fingerprints is analyzed with a warning.

    Raises:
        UserError: code or weights have changed since.
    """
    staleness = stale(result, result.experiment, runs)
    if staleness is None:
        return
    if staleness.changed:
        raise UserError(f"{staleness.reason}; run its command again first")
    warn(staleness.reason)


def _subject(folder: Path, result: EvaluationResult, stack: ExitStack) -> Subject:
    """The finished run's model and attack; the model is trained again if its run is gone."""
    runs = folder.resolve().parents[1]
    _check_code(result, runs)
    # Nothing new is to be followed, so that no logger is wanted. The model is taken as it is.
    execution = replace(
        result.experiment.execution, runs=str(runs), force=False, stale="show", logger=None
    )
    experiment = replace(result.experiment, execution=execution)
    check(experiment)
    check_data(experiment.model.dataset)
    try:
        evaluation = Evaluation(experiment)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # Right types, and values that no code of ours writes, such as a budget for the threats.
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: the run cannot be built again ({reason})") from error
    settings = experiment.evaluation
    attack = evaluation.attack
    paper_attack = PaperAttack(attack, "cross_entropy", cross_entropy)
    objectives: Mapping[str, Objective] = {paper_attack.name: cross_entropy}
    if experiment.task == "defend":
        defense, model = evaluation.parts.defense, evaluation.parts.model
        ((paper_name, paper_objective),) = defense.paper_objective(model).items()
        paper_attack = PaperAttack(attack, paper_name, paper_objective)
        declared = declared_objectives(defense, model, settings.adaptive)
        attack, objectives = attack.adaptive_attack(declared)
    _announce_training(experiment, evaluation.parts.data.fingerprint(), result)
    run = trained(experiment, evaluation.parts)
    batches = evaluation.batches()
    device = stack.enter_context(evaluating(execution, amp=settings.amp))
    loaded = load_for_evaluation(
        run, evaluation.parts.model, batches, device, compiled=settings.compile
    )
    return Subject(
        folder=folder,
        result=result,
        model=loaded.model,
        batches=batches,
        data=evaluation.parts.data,
        attack=attack,
        suite=evaluation.suite,
        objectives=dict(objectives),
        paper_attack=paper_attack,
        device=device,
        cache=loaded.cache,
    )


def _announce_training(
    experiment: Experiment, fingerprint: str, analyzed: EvaluationResult
) -> None:
    """Says what is about to be trained, and why, where the model's training run is not there."""
    run = training_run(experiment, experiment.model, fingerprint)
    if run.result() is not None:
        return
    reason = f"{run.folder} is not a finished training"
    if fingerprint != analyzed.data:
        root = experiment.model.dataset.values.get("root")
        reason = f"the data set in {root} is not the one that the run attacked"
    epochs = experiment.model.training.epochs
    warn(f"{reason}: the model is trained now, {epochs} epochs a stage, into {run.folder}")
