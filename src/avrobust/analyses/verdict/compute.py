"""The verdict on robust accuracies: checks of each condition for masked gradients.

What each check is and where it comes from: docs/verdict.md.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from avrobust.analyses.verdict.checks import NOTHING_MORE, Check, Context, model_checks
from avrobust.analyses.verdict.findings import Findings
from avrobust.attacks.base import attack_problem
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.experiments.results import VerdictResult
from avrobust.models.classifier import eval_mode
from avrobust.threats import Threat
from avrobust.types import Batch, Classifier, Clip, Record
from avrobust.utils.randomness import generator

CLIPS = 200  # the most that are looked at


def judge(
    model: Classifier,
    batches: Iterable[Batch],
    suite: Mapping[str, Threat],
    records: Sequence[Record] = (),
    *,
    objective: Objective = cross_entropy,
    context: Context = NOTHING_MORE,
    device: torch.device | str = "cpu",
) -> VerdictResult:
    """The verdict on a model's robust accuracies, from how gradient attacks behave on it.

    Args:
        model: any callable from Clip to logits (B, C). A module is evaluated in eval mode and left
            as it was.
        batches: the clips that were attacked; of those that the model recognizes, the first 200 are
            looked at.
        suite: the threats by the name of their condition.
        records: of the attack; they tell whether a black-box attack fooled what gradients could
            not, and whether a saturated loss kept the attack from clips.
        objective: the loss that the attacker maximized.
        context: what is known besides the model itself.
        device: where the model is.
    """
    findings = {name: Findings(name, threat) for name, threat in suite.items()}
    random, classes, recognized = False, 0, 0
    for batch in batches:
        if recognized >= CLIPS or not batch.key:
            continue
        clip, label = batch.clip.to(device), batch.label.to(device)
        logits, again = _predict_twice(model, clip)
        # Up to rounding: some GPU kernels add up in an order of their own.
        random = random or not torch.allclose(logits, again, rtol=1e-4, atol=1e-6, equal_nan=True)
        classes = logits.shape[1]
        index = (logits.argmax(1) == label).nonzero().squeeze(1)[: CLIPS - recognized]
        recognized += len(index)
        if not len(index):
            continue
        for name, threat in suite.items():
            generators = [generator(0, "verdict", name, key) for key in batch.key]
            with attack_problem(model, clip, label, threat, generators, objective) as problem:
                if problem:
                    keys = [batch.key[i] for i in index.tolist()]
                    findings[name].add(problem.take(index), keys)
    checks = model_checks(random, recognized, context)
    unjudged = {}
    for name, found in findings.items():
        if reason := found.nothing_to_judge():
            unjudged[name] = reason
        else:
            checks += found.checks(classes, records, context)
    return _verdict(checks, unjudged)


@torch.no_grad()
def _predict_twice(model: Classifier, clip: Clip) -> tuple[Tensor, Tensor]:
    with eval_mode(model):
        return model(clip), model(clip)


def _verdict(checks: Sequence[Check], unjudged: Mapping[str, str]) -> VerdictResult:
    """Trusted unless a check is suspicious."""
    reasons = []
    texts: dict[str, dict[str, str]] = {}
    for check in checks:
        texts.setdefault(check.condition, {})[check.name] = check.text
        if check.suspicious:
            reasons.append(f"{check.condition}: {check.text}")
    return VerdictResult(not reasons, tuple(reasons), texts, dict(unjudged))
