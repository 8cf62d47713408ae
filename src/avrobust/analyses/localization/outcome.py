"""What localize.json holds."""

from dataclasses import dataclass
from typing import Literal, final

from avrobust.evaluation.metrics import Share

Baseline = Literal["center", "whole", "random"]
BASELINES: tuple[Baseline, ...] = ("center", "whole", "random")
BASELINE_WORDS: dict[Baseline, str] = {
    "center": "the middle",
    "whole": "all of it",
    "random": "at random",
}


@final
@dataclass(frozen=True)
class PlaceScores:
    """How well response maps fit the true places, of the clips that have a box."""

    pointing: Share | None  # clips whose peak is in the box; None for maps without a peak
    ciou: Share  # clips with a cIoU of 0.5 or more
    auc: float  # area under the share of clips over thresholds of cIoU, in percent


@final
@dataclass(frozen=True)
class ResponseScores:
    """What response maps and predictions came to under one condition and budget."""

    recognized: Share
    moved: Share  # clips whose peak left its clean place
    places: PlaceScores | None  # None without boxes


@final
@dataclass(frozen=True)
class AttackedResponses:
    """The scores under one attack."""

    condition: str  # the condition's name
    title: str  # as a table's heading, for example "xAV"
    words: str  # for example "both attacked"
    scores: tuple[ResponseScores, ...]  # by share of the budgets


@final
@dataclass(frozen=True)
class BaselineScores:
    """What a guess scores that neither looks nor listens."""

    name: Baseline
    places: PlaceScores


@final
@dataclass(frozen=True)
class ShownPrediction:
    """What the model takes a kept clip for under one condition."""

    words: str  # the condition in words
    label: str  # the predicted class
    confidence: float  # in [0, 1]


@final
@dataclass(frozen=True)
class ShownClip:
    """A kept clip; its frames and maps are in localize.npz, in the same order."""

    key: str
    label: str  # the true class
    predictions: tuple[ShownPrediction, ...]  # clean first


@final
@dataclass(frozen=True)
class LocalizeOutcome:
    """Where a model takes the sound to come from, in numbers."""

    n: int  # clips
    boxes: int  # clips with a box
    objective: str  # the name of the loss that the attack maximized
    mosaic: bool  # each picture was among three others
    eps: float  # of the run
    shares: tuple[float, ...]  # of the run's budgets
    map_size: tuple[int, int]  # (h, w)
    clean: ResponseScores
    attacked: tuple[AttackedResponses, ...]
    baselines: tuple[BaselineScores, ...]
    shown: tuple[ShownClip, ...]

    @property
    def eps_levels(self) -> list[float]:
        """The budgets, in the units of the threat."""
        return [share * self.eps for share in self.shares]
