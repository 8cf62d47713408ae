"""Results of attacks that nobody ran, for tests of what is made of results."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from avrobust.evaluation.metrics import Share, robustness_improvement, wilson
from avrobust.experiments.result_files import read_result
from avrobust.experiments.results import (
    AttackFacts,
    Comparison,
    ConditionResult,
    Cost,
    EvaluationResult,
    Provenance,
    TrainResult,
    VerdictResult,
    WhiteBox,
)
from avrobust.experiments.runs import run_for
from avrobust.experiments.settings import Experiment
from avrobust.types import ConditionInfo, Modality, Record
from tests.support import built, experiment_for

N = 104
CLEAN = ConditionInfo("clean", "clean", (), False)
STANDARD = (
    CLEAN,
    ConditionInfo("audio", "xA", ("audio",), True),
    ConditionInfo("visual", "xV", ("visual",), True),
    ConditionInfo("audiovisual", "xAV", ("audio", "visual"), True),
)
NAMES = tuple(condition.name for condition in STANDARD)
Correct = Sequence[int]  # clips recognized under each condition
Recognized = Sequence[Iterable[int]]  # which clips are recognized under each condition

TRUSTED = VerdictResult(True, (), {})
WEAK = VerdictResult(False, ("more steps find more",), {})


def evaluation_result(
    experiment: Experiment,
    correct: Correct,
    *,
    conditions: Sequence[ConditionInfo] = STANDARD,
    n: int = N,
    gradients: float = 0.0,
    bounded: bool = True,
    **more: Any,
) -> EvaluationResult:
    """The result of an attack that recognized so many of n clips under each condition."""
    run = run_for(experiment, "data")
    attack = built("attack", experiment.evaluation.attack.name)
    facts = AttackFacts(bounded and attack.bounded, attack.kind, attack.paper_name)
    found = []
    for condition, count in zip(conditions, correct, strict=True):
        found.append(_condition(experiment, condition, count, n, gradients))
    result = EvaluationResult(
        task="defend" if experiment.task == "defend" else "attack",
        run_id=run.run_id,
        experiment=experiment,
        data="data",
        model=f"model of {experiment.model.fusion.name} and {experiment.model.defense.name}",
        epochs=experiment.model.training.epochs,
        model_modalities=_modalities(experiment),
        attack=facts,
        conditions=tuple(found),
        skipped=(),
        unsupported=(),
        seconds=52.0,
        provenance=Provenance({"avrobust": "0.2.0"}, None),
    )
    return replace(result, **more)


def comparison_with(result: EvaluationResult, undefended: EvaluationResult) -> Comparison:
    """A defended model's result against an undefended one's."""
    ri = robustness_improvement(
        result.clean.accuracy.percent,
        result.average,
        undefended.clean.accuracy.percent,
        undefended.average,
    )
    zeros = dict.fromkeys(result.accuracy, 0)
    return Comparison(
        run_id=undefended.run_id,
        epochs=undefended.epochs,
        accuracy=undefended.accuracy,
        average=undefended.average,
        ri=ri,
        ri_interval=(ri - 5, ri + 5),
        ri_p=1.0,
        objectives={"cross_entropy": result.accuracy},
        only_defended=dict(zeros),
        only_undefended=dict(zeros),
        p=dict.fromkeys(result.accuracy, 1.0),
    )


def put(
    runs: Path, correct: Correct, *overrides: str, task: str = "attack", **more: Any
) -> EvaluationResult:
    """Writes the result of an attack into a folder of runs."""
    experiment = experiment_for(task, f"runs='{runs}'", *overrides)  # type: ignore[arg-type]
    result = evaluation_result(experiment, correct, **more)
    return write(runs, result)


def write(runs: Path, result: EvaluationResult) -> EvaluationResult:
    """Writes a result into a folder of runs."""
    run = run_for(result.experiment, result.data)
    folder = runs / result.task / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    run._replace(folder=folder).write_result(result)
    return result


def put_clips(
    runs: Path,
    recognized: Recognized,
    *overrides: str,
    label: str = "bell",
    **more: Any,
) -> EvaluationResult:
    """Writes the result of an attack, and which clips it recognized under each condition."""
    sets = [set(clips) for clips in recognized]
    result = put(runs, [len(clips) for clips in sets], *overrides, **more)
    write_records(runs, result, sets, label)
    return result


def write_records(
    runs: Path, result: EvaluationResult, sets: Sequence[set[int]], label: str = "bell"
) -> None:
    """Writes the examples.csv of a result."""
    path = runs / result.task / result.run_id / "examples.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(Record._fields)
        for condition, clips in zip(result.conditions, sets, strict=True):
            for i in range(result.n):
                correct = i in clips
                prediction = label if correct else "drum"
                answer = [label, prediction, correct, 0.9, 0.1]
                table.writerow([f"{label}/{i}", condition.name, *answer, 0.0, 0.0])


def evaluations(runs: Path, task: str = "attack") -> list[EvaluationResult]:
    """The results of a task in a folder of runs."""
    found = []
    for path in sorted((runs / task).glob("*/result.json")):
        result = read_result(path.parent)
        assert isinstance(result, EvaluationResult)
        found.append(result)
    return found


def trainings(runs: Path) -> list[TrainResult]:
    """The results of the trainings in a folder of runs."""
    found = []
    for path in sorted((runs / "train").glob("*/result.json")):
        result = read_result(path.parent)
        assert isinstance(result, TrainResult)
        found.append(result)
    return found


def white_box(accuracy: Mapping[str, float], *reasons: str) -> WhiteBox:
    """What a transferred row says of the attack on the model itself."""
    return WhiteBox("source", "own", dict(accuracy), tuple(reasons))


def _condition(
    experiment: Experiment, condition: ConditionInfo, count: int, n: int, gradients: float
) -> ConditionResult:
    factor = experiment.evaluation.threat.values["single_modality_factor"]
    eps = experiment.evaluation.eps * (factor if len(condition.modalities) == 1 else 1.0)
    budgets: dict[Modality, float] = dict.fromkeys(condition.modalities, eps)
    low, high = wilson(count, n)
    return ConditionResult(
        name=condition.name,
        title=condition.title,
        modalities=condition.modalities,
        adversarial=condition.adversarial,
        accuracy=Share(100 * count / n, low, high, n),
        largest_distance={"audio": 0.1, "visual": 0.1},
        eps=budgets,
        cost=Cost(gradients, 2.0, 0.0) if condition.adversarial else None,
    )


def _modalities(experiment: Experiment) -> tuple[Modality, ...]:
    fusion = experiment.model.used_fusion.name
    if fusion == "audio_only":
        return ("audio",)
    return ("visual",) if fusion == "visual_only" else ("audio", "visual")
