"""Another model that the clips of an attack are made on.

The module also says what these clips tell about the attack on the model itself.
"""

from collections.abc import Sequence

from avrobust.analyses.verdict.checks import compare_transfer
from avrobust.experiments.results import EvaluationResult, WhiteBox
from avrobust.experiments.runs import Run
from avrobust.experiments.settings import Experiment
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import build_parts
from avrobust.tasks.train import trained
from avrobust.types import Record


def source_model(experiment: Experiment) -> tuple[Run, AVClassifier]:
    """The training run of a model, made if it is not there, and the model as it is attacked."""
    parts = build_parts(experiment.model, experiment.execution)
    run = trained(experiment, parts)
    return run, folded(load_trained(run, parts.model))


def white_box(records: Sequence[Record], source: Run, own: EvaluationResult) -> WhiteBox:
    """What a result of transferred clips says of the attack on the attacked model itself.

    Args:
        records: of the transferred clips.
        source: the training run of the model that the clips were made on.
        own: the result of the same attack on the attacked model itself, on the same clips.
    """
    reasons = []
    for condition in own.attacked:
        correct = [record.correct for record in records if record.condition == condition.name]
        left_by_own = round(condition.own_accuracy.percent / 100 * len(correct))
        check = compare_transfer(condition.name, left_by_own, sum(correct), len(correct))
        if check.suspicious:
            reasons.append(f"{check.condition}: {check.text}")
    return WhiteBox(source.run_id, own.run_id, own.accuracy, tuple(reasons))
