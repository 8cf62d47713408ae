"""Attacks one trained classifier: one row of a table."""

import time
from dataclasses import replace

from avrobust.attacks.transfer import Transfer
from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.runs import training_result
from avrobust.experiments.settings import Experiment
from avrobust.tasks.evaluation import Evaluation
from avrobust.tasks.loaded import load_for_evaluation
from avrobust.tasks.setup import evaluating
from avrobust.tasks.train import trained
from avrobust.tasks.transfer import source_model, white_box
from avrobust.tracking.loggers import publish


def main(experiment: Experiment) -> EvaluationResult:
    """What `python attack.py` does: clean, xA, xV, xAV and Avg of a model under an attack."""
    evaluation = Evaluation(experiment)
    with evaluation.run.claim(experiment) as result:
        if result is None:
            # A forced attack is made again; the model it attacks is not trained again for that.
            result = _attack(evaluation, experiment.for_prerequisites())
    publish(experiment, evaluation.run)
    assert isinstance(result, EvaluationResult)
    return result


def _attack(evaluation: Evaluation, experiment: Experiment) -> EvaluationResult:
    settings, execution = experiment.evaluation, experiment.execution
    model_run = trained(experiment, evaluation.parts)
    if settings.source:
        # Without the attack on the model itself nobody could tell what a transferred row is worth.
        own = main(replace(experiment, attack=replace(settings, source=None)))
        source_run, source = source_model(experiment.with_model(settings.source))
    started = time.monotonic()
    with evaluating(execution, amp=settings.amp) as device:
        loaded = load_for_evaluation(
            model_run,
            evaluation.parts.model,
            evaluation.batches(),
            device,
            compiled=settings.compile,
        )
        if settings.source:
            evaluation.attack = Transfer(evaluation.attack, source.to(device))
        examples = evaluation.examples()
        records = evaluation.records(loaded, device, examples)
        verdict = evaluation.verdict(loaded.model, device, records)
    seconds = time.monotonic() - started
    beside = None
    if settings.source:
        beside = white_box(records, source_run, own)
        evaluation.rests_on(training_result(source_run), own)
    result = evaluation.result(records, model_run, verdict, seconds, white_box=beside)
    return evaluation.finish(result, records, examples)
