"""Records what a model predicts for every clip under every condition, and checks each condition."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.cache import EmbeddingCache
from avrobust.attacks.gradients import Objective, cross_entropy, wrong
from avrobust.attacks.outputs import (
    InvalidOutputError,
    check_finite,
    check_labels,
    check_shape,
)
from avrobust.attacks.problem import QueryCounter
from avrobust.evaluation.checks import check_clean, check_outcome
from avrobust.evaluation.conditions import Attacked, Clean, CleanBatch, Condition
from avrobust.models.classifier import AVClassifier, eval_mode
from avrobust.threats import Threat
from avrobust.types import Batch, Classifier, Clip, ConditionInfo, Record
from avrobust.utils.console import warn
from avrobust.utils.randomness import generator

# Is called with every batch under every condition, as the model sees it.
Observer = Callable[[Batch, ConditionInfo, Clip], None]

# By the keys of a batch, the embeddings and the gradient of its clean clips.
EvaluationCache = dict[tuple[str, ...], EmbeddingCache]

# Of the first batch, that are enough to see which parts of an attack have no effect on a model.
FIRST_CLIPS = 4


def evaluate(
    model: Classifier,
    batches: Iterable[Batch],
    attack: Attack | None = None,
    suite: Mapping[str, Threat] | None = None,
    *,
    conditions: Sequence[Condition] = (),
    objective: Objective = cross_entropy,
    seed: int = 0,
    device: torch.device | str = "cpu",
    observe: Observer | None = None,
    cache: EvaluationCache | None = None,
    unsupported: list[str] | None = None,
) -> list[Record]:
    """What `model` predicts for each clip, clean, attacked and under further conditions.

    Args:
        model: any callable from Clip to logits (B, C). A module is evaluated in eval mode and left
            as it was.
        batches: clips with labels and keys; audio in [-1, 1], frames in [0, 1].
        attack: how the clips are perturbed; None for no attack.
        suite: the threats by the name of their condition, for example
            `avrobust.threats.suite(8 / 255, units="pixel")`.
        conditions: further conditions.
        objective: the loss that the attack maximizes.
        seed: of all random draws, which also depend on condition and key, and on nothing else.
        device: where the model is.
        observe: is called with every batch under every condition, for example to keep a few clips.
        cache: for evaluations of one model on the same batches again, with another eps, attack or
            objective: a dict that this evaluation fills and the next ones use. It holds every batch
            and its gradient; the records are the same.
        unsupported: takes the parts of the attack that have no effect on this model, measured on
            its first clips; None to print them on standard error.

    Returns:
        One record for each clip and condition: the clean ones, the attacked ones in the order of
        `suite`, then those of `conditions`.

    Raises:
        ValueError: a clean clip is not valid (range, not finite), there is no clip at all, an
            attack comes without a suite or a suite without an attack, two conditions have one
            name, or a condition that is no attack calls itself adversarial.
        InvalidOutputError: the model returned logits that are not finite or of a wrong shape or
            type, under whatever condition; or labels are no classes of the model.
        BudgetExceededError: a bounded attack left its budget or the valid values.
        InvalidConditionError: a condition changed a modality that it declares untouched, or
            returned values that are not finite or out of range.
    """
    every_condition = all_conditions(attack, suite, conditions, objective=objective)
    evaluation = _Evaluation(model, every_condition, seed, device, observe, cache)
    records: list[Record] = []
    first: Batch | None = None
    with eval_mode(model):
        for batch in batches:
            if batch.key:
                first = first or _part(batch, slice(FIRST_CLIPS))
                records += evaluation.records(batch)
        if first is None:
            raise ValueError("there was no clip to evaluate")
        if attack is not None and suite is not None:
            reasons = attack.unsupported(
                model, evaluation.classes, suite.values(), first.clip.to(device)
            )
            _report(reasons, unsupported)
    return records


def _report(reasons: Sequence[str], unsupported: list[str] | None) -> None:
    """Hands the reasons to the caller, or prints them."""
    if unsupported is not None:
        unsupported.extend(reasons)
        return
    for reason in reasons:
        warn(f"unsupported: {reason}")


def all_conditions(
    attack: Attack | None,
    suite: Mapping[str, Threat] | None,
    more: Sequence[Condition] = (),
    *,
    objective: Objective = cross_entropy,
) -> list[Condition]:
    """The conditions of an evaluation: clean, the attack under each threat, then `more`.

    Raises:
        ValueError: an attack comes without a suite or a suite without an attack, two conditions
            have one name, or a condition that is no attack calls itself adversarial.
    """
    for condition in more:
        # Its distance is bounded by nothing, and yet it would count into Avg.
        if condition.adversarial and not isinstance(condition, Attacked):
            raise ValueError(
                f"condition {condition.name}: adversarial, and yet no attack under a threat; "
                "make it an Attack, or leave `adversarial` as it is"
            )
    if (attack is None) != (not suite):  # a suite without any threat would attack nothing
        missing = "an attack" if attack is None else "a suite"
        raise ValueError(f"attack and suite belong together: {missing} is missing")
    conditions: list[Condition] = [Clean()]
    if attack is not None and suite is not None:
        for name, threat in suite.items():
            conditions.append(Attacked(name, attack, threat, objective))
    conditions += more
    names = [condition.name for condition in conditions]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two conditions have the name {name!r}")
    return conditions


@dataclass
class _Evaluation:
    """The settings of `evaluate`, and how many clips fit on the GPU at once."""

    model: Classifier
    conditions: Sequence[Condition]
    seed: int
    device: torch.device | str
    observe: Observer | None
    cache: EvaluationCache | None
    clips_that_fit: int | None = None  # None: no batch has been too large yet
    classes: int = 0  # known after the first batch

    def records(self, batch: Batch) -> list[Record]:
        """The records of one batch.

        Where the GPU's memory does not suffice, the batch is halved, which gives the same records.
        """
        count = len(batch.key)
        if self.clips_that_fit is None or count <= self.clips_that_fit:
            try:
                return self._records_at_once(batch)
            except torch.OutOfMemoryError:
                if count == 1:
                    raise
                self.clips_that_fit = count // 2
            torch.cuda.empty_cache()
        records = self.records(_part(batch, slice(None, count // 2)))
        records += self.records(_part(batch, slice(count // 2, None)))
        # In the order of the whole batch: condition by condition.
        order = [condition.name for condition in self.conditions]
        return sorted(records, key=lambda record: order.index(record.condition))

    def _records_at_once(self, batch: Batch) -> list[Record]:
        clip = batch.clip.to(self.device)
        check_clean(clip, batch.key)
        if isinstance(self.model, AVClassifier):
            self.classes = self.model.head.out_features
        check_labels(batch.label, batch.key, self.classes or None)
        label = batch.label.to(clip.audio.device)
        cache = self._batch_cache(batch, clip, label)
        records: list[Record] = []
        for condition in self.conditions:
            generators = [generator(self.seed, "attack", condition.name, k) for k in batch.key]
            counters = [QueryCounter() for _ in batch.key]
            # A copy: whoever changes the clips in place must not change what they are measured by.
            copied = Clip(clip.audio.clone(), clip.visual.clone())
            outcome = condition.apply(
                CleanBatch(self.model, copied, label, generators, counters, cache)
            )
            outcome = outcome._replace(clip=_unchanged_shared(outcome.clip, clip))
            distances = condition.distances(outcome.clip, clip)
            check_outcome(condition, outcome.clip, clip, distances, batch.key)
            logits = self._logits(outcome.clip, batch, cache, condition.name)
            predictions = _predictions(logits, distances, batch, condition.name)
            records += _with_details(predictions, outcome, counters)
            if self.observe:
                self.observe(batch, condition.info, outcome.clip)
        if cache and self.cache is not None:
            cache.drop_adversarial()
        return records

    def _logits(
        self, clip: Clip, batch: Batch, cache: EmbeddingCache | None, condition: str
    ) -> Tensor:
        """The model's logits on the CPU, (B, C), checked together with the labels."""
        predict = cache.logits if cache else self.model
        with torch.no_grad():
            logits = predict(clip)
        check_shape(logits, len(batch.key))
        if not self.classes:
            self.classes = logits.shape[1]
            check_labels(batch.label, batch.key, self.classes)
        if logits.shape[1] != self.classes:
            raise InvalidOutputError(
                f"the model returned logits of {logits.shape[1]} classes for clip {batch.key[0]}, "
                f"and of {self.classes} before"
            )
        logits = logits.float().cpu()
        check_finite(logits, batch.key, condition)
        return logits

    def _batch_cache(self, batch: Batch, clip: Clip, label: Tensor) -> EmbeddingCache | None:
        if not isinstance(self.model, AVClassifier):
            return None
        caches = self.cache if self.cache is not None else {}
        if batch.key not in caches:
            objectives = [condition.clean_objective() for condition in self.conditions]
            objective = next(filter(None, objectives), None)
            caches[batch.key] = EmbeddingCache(self.model, clip, label, objective)
        return caches[batch.key]


def _unchanged_shared(changed: Clip, clean: Clip) -> Clip:
    """The outcome, with the clean tensor itself for a modality that is equal to it.

    What is done with an outcome recognizes the clean tensor without a pass over its values.
    """
    same_audio = torch.equal(changed.audio, clean.audio)
    same_visual = torch.equal(changed.visual, clean.visual)
    return Clip(
        clean.audio if same_audio else changed.audio,
        clean.visual if same_visual else changed.visual,
    )


def _part(batch: Batch, part: slice) -> Batch:
    clip = Clip(batch.clip.audio[part], batch.clip.visual[part])
    return Batch(clip, batch.label[part], batch.key[part])


def _predictions(
    logits: Tensor, distances: tuple[Tensor, Tensor], batch: Batch, condition: str
) -> list[Record]:
    """One record a clip, without what is known of the attack."""
    label = batch.label
    # Whole columns are moved to Python at once: one value at a time would be slow.
    labels, predictions = label.tolist(), logits.argmax(1).tolist()
    correct = (~wrong(logits, label)).tolist()
    confidences = logits.softmax(1).amax(1).tolist()
    losses = F.cross_entropy(logits, label, reduction="none").tolist()
    audio_distances, visual_distances = distances[0].tolist(), distances[1].tolist()
    records = []
    for i, key in enumerate(batch.key):
        records.append(
            Record(
                key=key,
                condition=condition,
                label=labels[i],
                prediction=predictions[i],
                correct=correct[i],
                confidence=confidences[i],
                loss=losses[i],
                audio_distance=audio_distances[i],
                visual_distance=visual_distances[i],
            )
        )
    return records


def _with_details(
    records: Sequence[Record], outcome: Outcome, counters: Sequence[QueryCounter]
) -> list[Record]:
    """The records with what is known of the attack on each clip."""
    detailed = []
    for i, record in enumerate(records):
        attack = outcome.attack[i] if outcome.attack else ""
        target = outcome.target[i] if outcome.target else None
        detailed.append(record._replace(attack=attack, target=target, **asdict(counters[i])))
    return detailed
