"""The undefended model beside a defended one, and what its adversarial clips do to the latter."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch

from avrobust.attacks.pgd import PGD
from avrobust.attacks.transfer import Transfer
from avrobust.defenses.none import Undefended
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.experiments.options import Option
from avrobust.experiments.result_files import FILE
from avrobust.experiments.runs import Run, training_of, training_run
from avrobust.experiments.settings import UNDEFENDED, Experiment
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import build_parts
from avrobust.threats import Threat
from avrobust.types import Batch, Classifier

STEPS = 20


def undefended_experiment(experiment: Experiment) -> Experiment:
    """The attack on the same model without a defense.

    This model too is trained twice if the defense's settings say so.
    """
    none = Option(
        UNDEFENDED,
        f"{Undefended.__module__}.{Undefended.__qualname__}",
        {"match_epochs": experiment.model.defense.values.get("match_epochs", False)},
    )
    model = replace(experiment.model, defense=none)
    return replace(experiment, task="attack", model=model)


def trained_sibling(experiment: Experiment, fingerprint: str) -> Run | None:
    """The finished training of the undefended sibling of a defended model.

    None if there is no such run, or the model is undefended itself.

    Args:
        experiment: with the defended model.
        fingerprint: of the data.
    """
    if not experiment.model.defended:
        return None
    sibling = undefended_experiment(experiment).for_prerequisites()
    run = training_run(sibling, sibling.model, fingerprint)
    finished = (run.folder / FILE).is_file() and run.result_for(training_of(sibling, sibling.model))
    return run if finished and run.weights_problem() is None else None


def load_sibling(experiment: Experiment, run: Run) -> AVClassifier:
    """The undefended sibling of an experiment's model, with the weights of its training run."""
    settings = undefended_experiment(experiment).model
    parts = build_parts(settings, experiment.execution)
    return folded(load_trained(run, parts.model))


def accuracy_under(
    model: Classifier,
    batches: Iterable[Batch],
    suite: Mapping[str, Threat],
    source: Classifier,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """A model's accuracy in percent under clips that PGD made on another one, by condition.

    No gradient of the model is used.

    Args:
        model: that is attacked.
        batches: of clean clips.
        suite: the threats by the name of their condition.
        source: that the clips are made on.
        device: where both models are.
    """
    attack = Transfer(PGD(STEPS, 2.5 / STEPS), source)
    records = evaluate(model, batches, attack, suite, device=device)
    return summarize(records).accuracy
