"""Attacks every clip under every threat and records what the model then says; measures each attack itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack, Objective, Outcome, cross_entropy
from avrobust.attacks.problem import Meter, wrong
from avrobust.attacks.shared import Shared
from avrobust.evaluation.metrics import average, average_with_clean, percent, wilson
from avrobust.models.classifier import AVClassifier, eval_mode
from avrobust.threats import Budget, Threat, audio_budget, visual_budget
from avrobust.types import CONDITIONS, Batch, Classifier, Clip, Condition, Record
from avrobust.utils.randomness import generator

NO_THREAT = Threat()

Watcher = Callable[[Batch, Condition, Clip], None]  # sees every batch as the model sees it
Known = dict[tuple[str, ...], Shared]  # by the keys of a batch, what is known of its clean clips


def _unwatched(batch: Batch, condition: Condition, clip: Clip) -> None:
    pass


class BudgetExceededError(RuntimeError):
    """An attack that claims to be bounded left its budget: its numbers would be worth nothing."""


def evaluate(
    model: Classifier,
    batches: Iterable[Batch],
    attack: Attack | None = None,
    suite: Mapping[Condition, Threat] | None = None,
    *,
    objective: Objective = cross_entropy,
    seed: int = 0,
    device: torch.device | str = "cpu",
    watch: Watcher = _unwatched,
    known: Known | None = None,
) -> list[Record]:
    """What `model` predicts for each clip, clean and under each threat of `suite`.

    Args:
        model: any callable from Clip to logits (B, C). A module is evaluated in eval mode and left
            as it was.
        batches: clips with labels and keys; audio in [-1, 1], frames in [0, 1].
        attack: how the clips are perturbed; with None they are only looked at clean.
        suite: the threats by condition, for example `avrobust.threats.suite(8 / 255,
            units="pixel")`.
        objective: what the attacker maximizes.
        seed: of the attack's random draws, which also depend on condition and key, and on nothing
            else.
        device: where the model lives.
        watch: is shown every batch, clean and attacked, for example to keep a few clips.
        known: for evaluations of one model on the same batches again, with another eps, attack or
            objective: a dict that this one fills and the next ones use. Holds every batch and its
                gradient; the records are the same.

    Returns:
        One record a clip and condition, the clean ones included.

    Raises:
        ValueError: a clean clip is not valid (range, not finite), or there is no clip at all.
        BudgetExceededError: a bounded attack left its budget or the valid values.
    """
    evaluation = _Evaluation(
        model, attack, suite if attack and suite else {}, objective, seed, device, watch, known
    )
    with eval_mode(model):
        records = [record for batch in batches if batch.key for record in evaluation.records(batch)]
    if not records:
        raise ValueError("there was no clip to evaluate")
    return records


@dataclass
class _Evaluation:
    """The settings of `evaluate`, and how many clips fit on the GPU at once."""

    model: Classifier
    attack: Attack | None
    suite: Mapping[Condition, Threat]
    objective: Objective
    seed: int
    device: torch.device | str
    watch: Watcher
    known: Known | None
    most: int | None = None  # None: nothing has been found too large yet

    def records(self, batch: Batch) -> list[Record]:
        """Of one batch; where the GPU's memory does not suffice, of its halves, which gives the same records."""
        count = len(batch.key)
        if self.most is None or count <= self.most:
            try:
                return self._of(batch)
            except torch.OutOfMemoryError:
                if count == 1:
                    raise
                self.most = count // 2
            torch.cuda.empty_cache()
        halves = (slice(None, count // 2), slice(count // 2, None))
        parts = [
            Batch(Clip(*(x[half] for x in batch.clip)), batch.label[half], batch.key[half])
            for half in halves
        ]
        found = [record for part in parts for record in self.records(part)]
        return sorted(found, key=lambda record: CONDITIONS.index(record.condition))

    def _of(self, batch: Batch) -> list[Record]:
        clip = batch.clip.to(self.device)
        _refuse_invalid(clip, batch.key)
        label = batch.label.to(clip.audio.device)
        shared = self._shared(batch, clip, label)
        if shared and self.attack and self.suite and self.attack.begins_clean:
            shared.first(NO_THREAT, self.objective)  # its forward pass is the clean clips' as well
        answer = shared.logits if shared else self.model
        records = _record(answer, clip, NO_THREAT.distances(clip, clip), batch, "clean")
        self.watch(batch, "clean", clip)
        for condition, threat in self.suite.items():
            meters = [Meter() for _ in batch.key]
            outcome = self._attacked(batch, clip, label, condition, threat, shared, meters)
            distances = threat.distances(outcome.clip, clip)
            if self.attack and self.attack.bounded:
                refuse_excess(self.attack, outcome.clip, distances, threat, batch.key)
            found = _record(answer, outcome.clip, distances, batch, condition)
            told = zip(
                found, outcome.by, outcome.target or (None,) * len(found), meters, strict=True
            )
            records += [
                record._replace(by=by, target=target, **asdict(meter))
                for record, by, target, meter in told
            ]
            self.watch(batch, condition, outcome.clip)
        if shared and self.known is not None:
            shared.forget()
        return records

    def _shared(self, batch: Batch, clip: Clip, label: Tensor) -> Shared | None:
        if not isinstance(self.model, AVClassifier):
            return None
        if self.known is None:
            return Shared(self.model, clip, label)
        return self.known.setdefault(batch.key, Shared(self.model, clip, label))

    def _attacked(
        self,
        batch: Batch,
        clip: Clip,
        label: Tensor,
        condition: Condition,
        threat: Threat,
        shared: Shared | None,
        meters: Sequence[Meter],
    ) -> Outcome:
        assert self.attack is not None
        generators = [generator(self.seed, "attack", condition, key) for key in batch.key]
        return self.attack.run(
            self.model,
            clip,
            label,
            threat,
            generators=generators,
            objective=self.objective,
            shared=shared,
            meters=meters,
        )


@torch.no_grad()
def _record(
    model: Classifier,
    clip: Clip,
    distances: tuple[Tensor, Tensor],
    batch: Batch,
    condition: Condition,
) -> list[Record]:
    logits, label = model(clip).float().cpu(), batch.label
    columns: list[Sequence[object]] = [
        label.tolist(),
        logits.argmax(1).tolist(),
        (~wrong(logits, label)).tolist(),
        logits.softmax(1).amax(1).tolist(),
        F.cross_entropy(logits, label, reduction="none").tolist(),
        *(d.tolist() for d in distances),
    ]
    return [Record(key, condition, *row) for key, *row in zip(batch.key, *columns, strict=True)]


def _refuse_invalid(clip: Clip, keys: Sequence[str]) -> None:
    for name, budget, x in zip(
        Clip._fields, (audio_budget(0), visual_budget(0)), clip, strict=True
    ):
        for key in _named(keys, ~budget.valid(x)):
            raise ValueError(
                f"clip {key}: its {name} is not finite or not within [{budget.low:g}, {budget.high:g}]"
            )


def refuse_excess(
    attack: Attack,
    adversarial: Clip,
    distances: tuple[Tensor, Tensor],
    threat: Threat,
    keys: Sequence[str],
) -> None:
    """Raises BudgetExceededError if an attack left its budget on one of these clips."""
    for key in _named(keys, ~threat.contains(adversarial, distances)):
        raise BudgetExceededError(
            f"{type(attack).__name__} left its budget on clip {key}: {_describe(threat)}"
        )


def _named(keys: Sequence[str], marked: Tensor) -> list[str]:
    return [key for key, mark in zip(keys, marked.tolist(), strict=True) if mark]


def _describe(threat: Threat) -> str:
    def one(budget: Budget | None) -> str:
        return "untouched" if budget is None else f"eps {budget.eps:g}"

    return f"audio {one(threat.audio)}, visual {one(threat.visual)}"


def felled(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """By condition, how many clips each member of an attack made of several has fooled; empty for other attacks."""
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        if record.by:
            of = counts.setdefault(record.condition, {})
            of[record.by] = of.get(record.by, 0) + 1
    return counts


def cost(records: Iterable[Record]) -> dict[str, dict[str, float]]:
    """What the attack asked about a clip, on average, by attacked condition: gradients, queries, shared gradients."""
    asked: dict[str, list[tuple[int, ...]]] = {}
    for record in records:
        if record.condition != "clean":
            asked.setdefault(record.condition, []).append(
                (record.gradients, record.queries, record.shared)
            )
    names = ("gradients", "queries", "shared")
    return {
        c: dict(zip(names, map(fmean, zip(*rows, strict=True)), strict=True))
        for c, rows in asked.items()
    }


def reached(records: Iterable[Record]) -> dict[str, dict[str, float]]:
    """By condition the percentage of all clips that ended in the class that the attack wanted, with its interval.

    Empty for attacks that want no certain class.
    """
    found: dict[str, list[bool]] = {}
    for record in records:
        if record.target is not None:
            found.setdefault(record.condition, []).append(record.prediction == record.target)
    shares = {c: (percent(sum(x), len(x)), *wilson(sum(x), len(x))) for c, x in found.items()}
    return {c: dict(zip(("share", "low", "high"), x, strict=True)) for c, x in shares.items()}


def worst(found: Sequence[list[Record]]) -> list[Record]:
    """For each clip and condition the record of the attack that hurt most: one that fooled, of those the highest loss.

    The same clip stands at the same place of every list, as one model was asked about the same
    clips.
    """
    return [min(same, key=lambda r: (r.correct, -r.loss)) for same in zip(*found, strict=True)]


class Summary(NamedTuple):
    """A row of a robustness table: accuracies in percent."""

    n: int
    accuracy: dict[str, float]  # by condition
    interval: dict[str, tuple[float, float]]  # 95 %, Wilson
    average: float | None  # over xA, xV, xAV; None where one of them was not attacked
    average_with_clean: float | None  # over those and clean


def summarize(records: Iterable[Record]) -> Summary:
    """Records to the row of the table; n is the number of clips."""
    counts: dict[str, list[bool]] = {}
    for record in records:
        counts.setdefault(record.condition, []).append(record.correct)
    present: list[str] = [c for c in CONDITIONS if c in counts]
    accuracy = {c: percent(sum(counts[c]), len(counts[c])) for c in present}
    interval = {c: wilson(sum(counts[c]), len(counts[c])) for c in present}
    whole = len(present) == len(CONDITIONS)
    return Summary(
        n=len(counts["clean"]),
        accuracy=accuracy,
        interval=interval,
        average=average(accuracy) if whole else None,
        average_with_clean=average_with_clean(accuracy) if whole else None,
    )
