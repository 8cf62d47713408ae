"""What every defence is: a training loss, and the objectives that an attacker who knows it would try."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from torch import Generator, Tensor

from avrobust.attacks.base import Objective, cross_entropy
from avrobust.fusion.base import Fusion
from avrobust.model import AVClassifier
from avrobust.types import Clip


class Trained(NamedTuple):
    """One training step's outcome."""

    loss: Tensor  # scalar
    logits: Tensor  # (B, C), of the clips that the step was made on


class Defense(ABC):
    """Trains a classifier so that attacks harm it less. Holds settings alone; model and batch come at call time.

    `fusion` takes the place of the config's fusion where the defence is another model altogether (unimodal).
    """

    fusion: Callable[..., Fusion] | None = None
    optimises: ClassVar[bool] = False  # the defended model solves an optimisation problem for every answer
    paper_objective: ClassVar[str] = "cross_entropy"  # by which the paper would attack it, one of `objectives()`

    @abstractmethod
    def train(self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]) -> Trained:
        """The loss of one batch, with gradient to the model.

        Args:
            model: in training mode.
            clip: augmented clips.
            label: true classes, (B,) int64.
            generators: one a clip, for defences that draw at random.
        """

    def objectives(self) -> dict[str, Objective]:
        """What an adaptive attacker maximises, by name; a clip counts as robust if it withstands every one."""
        return {"cross_entropy": cross_entropy}

    def refuse(self, model: AVClassifier) -> None:  # noqa: B027 -- most defences fit every model
        """Raises UserError if the defence makes no sense for this model."""
