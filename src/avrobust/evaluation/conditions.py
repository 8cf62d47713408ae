"""Conditions: what a clip goes through before the model sees it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, final

from torch import Generator, Tensor

from avrobust.attacks.base import Attack, Outcome
from avrobust.attacks.cache import EmbeddingCache
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.problem import QueryCounter
from avrobust.threats import Threat
from avrobust.types import Classifier, Clip, ConditionInfo, Modality
from avrobust.utils.arguments import CheckedArguments


class CleanBatch(NamedTuple):
    """The clips that a condition is applied to, and what it may use for that."""

    model: Classifier  # in eval mode
    clip: Clip  # clean and valid, on the model's device
    label: Tensor  # (B,) int64, true classes
    generators: Sequence[Generator]  # one a clip, derived from seed, condition and key
    counters: Sequence[QueryCounter]  # one a clip, for conditions that query the model
    cache: EmbeddingCache | None  # None for models other than an AVClassifier


class Condition(CheckedArguments, ABC):
    """Something that happens to clips: an attack, a corruption, a missing modality.

    `evaluate` checks every outcome: a modality that is not in `modalities` has to be unchanged bit
    for bit, and all values have to be finite and in their range.

    Attributes:
        name: unique in an evaluation; what records and files say.
        title: a short table heading.
        modalities: those that the condition may change.
        adversarial: True for attacks, which count into the paper's Avg. `evaluate` refuses it
            of any other class than `Attacked`.
        threat: how changes are measured; without a budget by their largest value, in waveform
            units and in pixel values divided by the ImageNet standard deviation.
        bounded: True if `evaluate` has to refuse clips outside the threat.
        cause: what error messages name as the cause of an invalid outcome; empty for the condition.
    """

    adversarial: ClassVar[bool] = False
    name: str
    title: str
    modalities: tuple[Modality, ...]
    threat: Threat = Threat()
    bounded: bool = False
    cause: str = ""

    @abstractmethod
    def apply(self, batch: CleanBatch) -> Outcome:
        """The clips as the model is to see them."""

    def clean_objective(self) -> Objective | None:
        """A loss whose gradient at the clean clips `apply` will need, if there is one."""
        return None

    @final
    @property
    def info(self) -> ConditionInfo:
        """What results and reports say about the condition."""
        return ConditionInfo(self.name, self.title, self.modalities, self.adversarial)

    @final
    def distances(self, changed: Clip, clean: Clip) -> tuple[Tensor, Tensor]:
        """How far sound and frames of each clip are from the clean ones, (B,) each."""
        return self.threat.distances(changed, clean)


@final
class Clean(Condition):
    """The clips as they are."""

    name = "clean"
    title = "clean"
    modalities = ()

    def apply(self, batch: CleanBatch) -> Outcome:
        return Outcome(batch.clip)


@final
class Attacked(Condition):
    """An attack under a threat.

    Args:
        name: the condition's name.
        attack: how the clips are perturbed.
        threat: which modalities may be changed, and how far.
        objective: the loss that the attack maximizes.
    """

    adversarial: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        attack: Attack,
        threat: Threat,
        objective: Objective = cross_entropy,
    ) -> None:
        self.name, self.attack, self.threat, self.objective = name, attack, threat, objective
        self.modalities = threat.modalities
        self.title = attacked_title(self.modalities)
        self.bounded, self.cause = attack.bounded, type(attack).__name__

    def apply(self, batch: CleanBatch) -> Outcome:
        return self.attack.run(
            batch.model,
            batch.clip,
            batch.label,
            self.threat,
            generators=batch.generators,
            objective=self.objective,
            cache=batch.cache,
            counters=batch.counters,
        )

    def clean_objective(self) -> Objective | None:
        return self.objective if self.attack.starts_at_clean else None


def attacked_title(modalities: Sequence[Modality]) -> str:
    """The table heading of an attack on these modalities: "xA", "xV" or "xAV"."""
    initials = [modality[0].upper() for modality in modalities]
    return "x" + "".join(initials)
