"""What every defense is: a training loss, and the losses that an adaptive attacker maximizes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Generator, Tensor, nn

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.losses import WithCosine, comparable_embeddings
from avrobust.models.classifier import AVClassifier
from avrobust.models.fusion.base import Fusion
from avrobust.threats import Threat
from avrobust.types import Batch, Clip
from avrobust.utils.arguments import CheckedArguments


class StepOutput(NamedTuple):
    """The outcome of one training step."""

    loss: Tensor  # scalar
    logits: Tensor  # (B, C), of the clips that the loss was computed on


class RobustValidation(NamedTuple):
    """How a training measures robust validation accuracy after each epoch.

    The attack has to do without random draws, so that every epoch is measured alike.
    """

    attack: Attack
    threat: Threat
    clips: int  # of the validation split, drawn by their names


class Defense(CheckedArguments, ABC):
    """Trains a classifier so that attacks harm it less.

    A defense holds settings alone; model and batch come at call time. Its constructor raises
    ValueError for a number that the parameter's type excludes (`avrobust.ranges`). A defense with
    a `base`, another defense, trains in two stages: it starts from the model that `base` trains,
    which is a run of its own.

    Attributes:
        fusion: takes the place of the config's fusion, for defenses that are another model
            altogether (unimodal).
        optimizes: the defended model solves an optimization problem for every prediction.
        setup_clips: which training clips `setup` sees.
        robust_validation: the attack under which validation accuracy chooses the best epoch; None
            if the accuracy on clean clips does.

    Args:
        match_epochs: train a defense of one stage in two stages as well, the second one from its
            own trained model.
    """

    fusion: Callable[..., Fusion] | None = None
    optimizes: bool = False
    setup_clips: Literal["clean", "augmented"] = "clean"
    robust_validation: RobustValidation | None = None

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

    def paper_objective(self, model: AVClassifier) -> dict[str, Objective]:
        """What the released script maximizes, with its name, whatever the defense is.

        That is cross-entropy plus the cosine of the two embeddings (Tian & Xu 2021), weighted 1.
        A model of one modality, or with embeddings of two sizes, has no cosine: cross-entropy.

        Args:
            model: the attacked one.
        """
        if comparable_embeddings(model):
            return {"plus_cosine": WithCosine(1.0)}
        return {"cross_entropy": cross_entropy}

    def objectives(self, model: AVClassifier) -> dict[str, Objective]:
        """What an adaptive attacker maximizes, by name.

        A clip counts as robust if it withstands the attack on each of them. The paper's objective
        is one of them, so that no row is better than under the paper's attack.

        Args:
            model: the attacked one.
        """
        return {"cross_entropy": cross_entropy, **self.paper_objective(model)}

    def validate(self, model: AVClassifier) -> None:
        """Checks that the defense makes sense for this model.

        Raises:
            UserError: it does not.
        """

    def restorers(self, fusion: Fusion) -> dict[str, nn.Module]:
        """The denoisers that the defense puts between encoders and fusion, by modality."""
        return {}

    def extra_modules(self, fusion: Fusion, classes: int) -> dict[str, nn.Module]:
        """What the defense trains beside the classifier; it is saved in the checkpoint."""
        return {}

    def param_groups(self, model: AVClassifier) -> list[dict[str, Any]]:
        """The optimizer's parameter groups for `extra_modules`."""
        return []

    def setup(self, model: AVClassifier, batches: Iterable[Batch]) -> None:
        """Prepares what the defense added to the model, before the first epoch.

        It runs once more, with the same outcome, when a killed training resumes.

        Args:
            model: with the weights that the training starts from.
            batches: the training clips in a seeded order, as `setup_clips` says.
        """
