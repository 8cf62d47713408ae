"""The result of a run: what result.json holds.

TrainResult       of `train.py`
EvaluationResult  of `attack.py` and `defend.py`
"""

from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal, final

from avrobust.data.layout import Split
from avrobust.evaluation.metrics import Compactness, Share
from avrobust.experiments.settings import AttackSettings, Experiment, attack_name
from avrobust.types import ConditionInfo, Modality

SCHEMA = 2  # goes up when an older result.json can no longer be read


@final
@dataclass(frozen=True)
class SkippedClip:
    """A clip that could not be read."""

    key: str
    reason: str


@final
@dataclass(frozen=True)
class Cost:
    """What an attack asked the model about one clip, on average."""

    gradients: float
    queries: float
    shared_gradients: float  # of the gradients those that all conditions have in common


@final
@dataclass(frozen=True)
class ConditionResult:
    """What a model made of the clips under one condition."""

    name: str
    title: str  # as a table's heading, for example "xA"
    modalities: tuple[Modality, ...]  # that the condition may change; none if clean
    adversarial: bool  # whether it is an attack
    accuracy: Share  # of each clip's worst of this attack and the `nested` ones
    largest_distance: dict[Modality, float]  # in the units of eps
    eps: dict[Modality, float] = field(default_factory=dict)  # the budgets of an attack
    cost: Cost | None = None
    success_by_attack: dict[str, int] = field(
        default_factory=dict
    )  # clips by member of an ensemble
    targeted_success: Share | None = None
    nested: tuple[str, ...] = ()  # the conditions whose budgets lie within this one's budgets
    alone: Share | None = None  # what this attack itself leaves, if there are nested ones

    @property
    def own_accuracy(self) -> Share:
        """What this attack itself leaves."""
        return self.alone or self.accuracy

    @property
    def fooled_by_nested(self) -> int:
        """How many clips the attack itself leaves and a nested one fools."""
        n = self.accuracy.n
        return round((self.own_accuracy.percent - self.accuracy.percent) / 100 * n)

    @property
    def clean(self) -> bool:
        """Whether the clips are as they were recorded."""
        return not self.modalities

    @property
    def info(self) -> ConditionInfo:
        """The condition itself."""
        return ConditionInfo(self.name, self.title, self.modalities, self.adversarial)


@final
@dataclass(frozen=True)
class VerdictResult:
    """Whether the numbers are to be trusted, and why not."""

    trusted: bool
    reasons: tuple[str, ...]
    checks: dict[str, dict[str, str]]  # by condition, what each check says
    unjudged: dict[str, str] = field(
        default_factory=dict
    )  # by condition, why there is nothing to judge


@final
@dataclass(frozen=True)
class WhiteBox:
    """For clips that were made on another model: the same attack on the attacked model itself."""

    source: str  # the training run of the model that the clips were made on
    run_id: str  # the attack on the attacked model itself
    accuracy: dict[str, float]  # its accuracy in percent by condition
    reasons: tuple[str, ...]  # why it is not to be trusted


@final
@dataclass(frozen=True)
class Comparison:
    """A defended model against the undefended one of the same settings, on the same clips."""

    run_id: str  # of the undefended model's attack
    epochs: int
    accuracy: dict[str, float]  # of the undefended model, in percent by condition
    average: float
    ri: float  # robustness improvement in points, Tian & Xu 2021
    ri_interval: tuple[float, float]  # 95 %, for new clips
    ri_p: float
    objectives: dict[str, dict[str, float]]  # accuracy by objective of the attack and condition
    only_defended: dict[str, int]  # by condition, clips that the defended model alone recognizes
    only_undefended: dict[str, int]
    p: dict[str, float]  # by condition, of both models being equally good: evaluation/paired.py


@final
@dataclass(frozen=True)
class AttackFacts:
    """What tables need to know of the attack; the attack's class declares it."""

    bounded: bool  # False: the attack may leave its budget
    kind: str  # how strong it is meant to be, see `Attack.kind`
    paper_name: str | None  # its name in the paper's tables, if that is not the option's


@final
@dataclass(frozen=True)
class Provenance:
    """The code that made a result."""

    versions: dict[str, str]  # by package
    git: str | None  # the commit, with "+" if files were changed since; None outside a checkout


@final
@dataclass(frozen=True)
class SplitResult:
    """A trained model's accuracy on one split."""

    accuracy: float  # in percent
    n: int


@final
@dataclass(frozen=True)
class TrainResult:
    """What a training came to."""

    run_id: str
    experiment: Experiment
    data: str  # the data's fingerprint
    classes: tuple[str, ...]
    overlaps: dict[str, int]  # clips that two splits share
    splits: dict[Split, SplitResult]
    skipped: tuple[SkippedClip, ...]
    compactness: dict[Modality, Compactness | None]  # of the test clips
    epochs: int  # of all stages
    stage_before: str | None  # the run that it started from
    best_epoch: int
    parameters: int
    seconds: float
    provenance: Provenance
    best_by: Literal["clean", "robust"] = "clean"  # the validation accuracy that chose best_epoch
    schema: int = SCHEMA
    task: Literal["train"] = "train"


@final
@dataclass(frozen=True)
class EvaluationResult:
    """What an attack came to."""

    task: Literal["attack", "defend"]
    run_id: str
    experiment: Experiment
    data: str  # the data's fingerprint
    model: str  # the training run
    epochs: int  # that the model was trained for, all stages together
    model_modalities: tuple[Modality, ...]  # that the model uses
    attack: AttackFacts
    conditions: tuple[ConditionResult, ...]  # clean first, then in the order of evaluation
    skipped: tuple[SkippedClip, ...]
    unsupported: tuple[str, ...]  # parts of the attack that do not fit the model, with the reason
    seconds: float
    provenance: Provenance
    verdict: VerdictResult | None = None
    white_box: WhiteBox | None = None
    comparison: Comparison | None = None
    schema: int = SCHEMA

    @property
    def n(self) -> int:
        """The number of clips."""
        return self.clean.accuracy.n

    @property
    def split_name(self) -> str:
        """The clips that were attacked.

        For example "test", "24 of test" with clips=24, "all 11 of test" where the split has no 24.
        """
        split, count = self.settings.split, self.settings.clips
        if count is None:
            return split
        attempted = self.n + len(self.skipped)
        return f"all {attempted} of {split}" if attempted < count else f"{count} of {split}"

    @property
    def clean(self) -> ConditionResult:
        """The clips as they were recorded."""
        return self.conditions[0]

    @property
    def attacked(self) -> tuple[ConditionResult, ...]:
        """The conditions that are attacks."""
        return tuple(condition for condition in self.conditions if condition.adversarial)

    @property
    def accuracy(self) -> dict[str, float]:
        """In percent by condition."""
        return {condition.name: condition.accuracy.percent for condition in self.conditions}

    @property
    def average(self) -> float:
        """The mean over the attacks: Avg in the paper's Tables 1 and 3."""
        return fmean([condition.accuracy.percent for condition in self.attacked])

    @property
    def average_with_clean(self) -> float:
        """The mean over clean and the attacks: Avg in the paper's Table 2."""
        counted = (self.clean, *self.attacked)
        return fmean([condition.accuracy.percent for condition in counted])

    @property
    def settings(self) -> AttackSettings:
        """What was attacked with."""
        return self.experiment.evaluation

    @property
    def attack_name(self) -> str:
        """As tables call the attack."""
        return attack_name(self.experiment.model, self.settings)

    @property
    def trusted(self) -> bool:
        """False if a check found that the attack may have failed."""
        return self.verdict is None or self.verdict.trusted


Result = TrainResult | EvaluationResult
