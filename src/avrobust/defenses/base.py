"""What every defense is: a training loss, and the objectives that an attacker who knows it would try."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Generator, Tensor, nn

from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.models.classifier import AVClassifier
from avrobust.models.fusion.base import Fusion
from avrobust.types import Batch, Clip


class StepOutput(NamedTuple):
    """One training step's outcome."""

    loss: Tensor  # scalar
    logits: Tensor  # (B, C), of the clips that the step was made on


class Defense(ABC):
    """Trains a classifier so that attacks harm it less. Holds settings alone; model and batch come at call time.

    `fusion` takes the place of the config's fusion where the defense is another model altogether
    (unimodal).

    A config with a `base`, another defense, trains in two stages: it starts from the model that
    `base` trains, which is a run of its own. `match_epochs` is the task's: true trains a defense of
    one stage twice as well.

    Args:
        match_epochs: start from this defense's own trained model.
    """

    fusion: Callable[..., Fusion] | None = None
    optimizes: bool = False  # the defended model solves an optimization problem for every answer
    paper_objective: str = (
        "cross_entropy"  # by which the paper would attack it, one of `objectives()`
    )
    setup_clips: Literal["clean", "augmented"] = "clean"  # which training clips `setup` sees

    def __init__(self, *, match_epochs: bool = False) -> None:
        self.match_epochs = match_epochs

    @abstractmethod
    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        """The loss of one batch, with gradient to the model.

        Args:
            model: in training mode.
            clip: augmented clips.
            label: true classes, (B,) int64.
            generators: one a clip, for defenses that draw at random.
        """

    def objectives(self) -> dict[str, Objective]:
        """What an adaptive attacker maximizes, by name; a clip counts as robust if it withstands every one."""
        return {"cross_entropy": cross_entropy}

    def validate(self, model: AVClassifier) -> None:  # noqa: B027 -- most defenses fit every model
        """Raises UserError if the defense makes no sense for this model."""

    def restorers(self, fusion: Fusion) -> dict[str, nn.Module]:
        """The denoisers that it puts between encoders and fusion, by modality."""
        return {}

    def extra_modules(self, fusion: Fusion, classes: int) -> dict[str, nn.Module]:
        """What it learns beside the classifier; travels in the checkpoint."""
        return {}

    def param_groups(self, model: AVClassifier) -> list[dict[str, Any]]:
        """The optimizer's parameter groups of what is `extra_modules`."""
        return []

    def setup(self, model: AVClassifier, batches: Iterable[Batch]) -> None:  # noqa: B027 -- most have nothing to do
        """Prepares what it added to the model, before the first epoch and again, alike, when a killed run goes on.

        Args:
            model: with the weights that the training starts from.
            batches: the training clips in a seeded order, as `setup_clips` says.
        """
