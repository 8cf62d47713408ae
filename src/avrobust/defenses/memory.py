"""External feature memory: embeddings are restored from a bank of training features."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from torch import Generator, Tensor, nn

from avrobust.attacks.gradients import Objective
from avrobust.defenses.base import Defense, StepOutput
from avrobust.defenses.restorer import Gradient, Restorer, straight_through
from avrobust.defenses.sparse import Solver
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier, embed
from avrobust.models.fusion.base import Fusion, MapFusion
from avrobust.ranges import Fraction, NonNegativeFloat, PositiveInt
from avrobust.types import Batch, Clip, Modality


@final
class FeatureMemory(Defense):
    """Trains on the loss of `base`, from the model that `base` trained, with restored embeddings.

    Tian & Xu 2021. The adaptive attacks are those of `base`, and each of them once more with
    gradients that go straight through the restoration.

    Args:
        base: the defense of the first stage, whose features fill the banks: none for ExFMem, minsim
            for MinSim+ExFMem.
        solver: of the sparse codes.
        size: K, atoms a bank at most; None keeps every training feature. 1024 in the paper.
        source: whether the banks hold features of center crops in eval mode, or of one augmented
            pass in training mode, as in the released code.
        weight: lambda, of |a|_1; 0.1 in the paper.
        mixing: share of the restored embedding; 0.5 in the paper, 0.6 for Kinetics-Sounds.
        gradient: how gradients pass the restoration, in training and for an attacker: "implicit"
            (exact at the minimizer), "unrolled" (through every iteration of the solver) or
            "straight_through" (as if nothing were restored).
        match_epochs: train a second stage from the model of the first.

    Raises:
        ValueError: a number is out of range.
        UserError: the solver does not support the gradient.
    """

    optimizes = True

    def __init__(
        self,
        base: Defense,
        solver: Solver,
        size: PositiveInt | None = 1024,
        source: Literal["clean", "augmented"] = "clean",
        weight: NonNegativeFloat = 0.1,
        mixing: Fraction = 0.5,
        gradient: Gradient = "implicit",
        match_epochs: bool = False,
    ) -> None:
        super().__init__(match_epochs=match_epochs)
        if gradient == "implicit" and not solver.exact:
            raise UserError(
                "defense.gradient=implicit is the minimizer's gradient, "
                f"which {type(solver).__name__} stops short of; "
                "choices: unrolled, straight_through"
            )
        self.base, self.solver, self.size, self.setup_clips = base, solver, size, source
        self.weight, self.mixing, self.gradient = weight, mixing, gradient
        self.fusion = base.fusion

    def train(
        self, model: AVClassifier, clip: Clip, label: Tensor, generators: Sequence[Generator]
    ) -> StepOutput:
        return self.base.train(model, clip, label, generators)

    def paper_objective(self, model: AVClassifier) -> dict[str, Objective]:
        return self.base.paper_objective(model)

    def objectives(self, model: AVClassifier) -> dict[str, Objective]:
        """Those of `base`, and each once more with straight-through gradients.

        BPDA, Athalye et al. 2018.
        """
        plain = self.base.objectives(model)
        bpda = {f"{name}_bpda": StraightThrough(loss) for name, loss in plain.items()}
        return {**plain, **bpda}

    def validate(self, model: AVClassifier) -> None:
        self.base.validate(model)
        if isinstance(model.fusion, MapFusion):
            raise UserError(
                "defense: a feature memory restores one embedding a clip, but fusion "
                f"{type(model.fusion).__name__} looks at a map of them: "
                "choose another fusion or defense"
            )

    def restorers(self, fusion: Fusion) -> dict[str, nn.Module]:
        dims: dict[Modality, int] = {"audio": fusion.audio_dim, "visual": fusion.visual_dim}
        return {
            m: Restorer(
                m,
                dims[m],
                self.solver,
                weight=self.weight,
                mixing=self.mixing,
                gradient=self.gradient,
            )
            for m in fusion.uses
        }

    def extra_modules(self, fusion: Fusion, classes: int) -> dict[str, nn.Module]:
        return self.base.extra_modules(fusion, classes)

    def param_groups(self, model: AVClassifier) -> list[dict[str, Any]]:
        return self.base.param_groups(model)

    def setup(self, model: AVClassifier, batches: Iterable[Batch]) -> None:
        """Fills the banks with the first `size` training features."""
        features, _ = embed(model, batches, self.size, training=self.setup_clips == "augmented")
        for modality, restorer in model.restorers.items():
            assert isinstance(restorer, Restorer)
            restorer.fill(getattr(features, modality))


@final
@dataclass(frozen=True)
class StraightThrough:
    """An objective with gradients that go straight through the restoration."""

    objective: Objective

    def __call__(self, model: Any, clip: Clip, label: Tensor) -> Tensor:
        with straight_through(model.restorers):
            return self.objective(model, clip, label)
