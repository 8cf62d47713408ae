"""Which of several adversarial versions of a clip an attack returns."""

from typing import final

import torch
from torch import Tensor

from avrobust.attacks.problem import Problem, put
from avrobust.threats import each
from avrobust.types import Clip


@final
class BestAdversarial:
    """The best adversarial version of each clip so far.

    A version that fools the model is better than one that does not; among equals the version with
    the higher loss is better.

    Args:
        clip: the clean clips, which stand for clips without any version.
    """

    def __init__(self, clip: Clip) -> None:
        count, device = len(clip.audio), clip.audio.device
        self.clip = clip
        self.fooled = torch.zeros(count, dtype=torch.bool, device=device)
        self.loss = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)

    def update(self, x: Clip, loss: Tensor, fooled: Tensor, index: Tensor | None = None) -> Tensor:
        """Keeps those versions that are better than the best so far.

        Args:
            x: versions of K clips.
            loss: their losses, (K,).
            fooled: whether they fool the model, (K,) bool.
            index: which clips they are versions of, (K,) int64; None: of all clips, in order.

        Returns:
            Whether a clip's version was replaced, (B,) bool.
        """
        loss = loss.double()
        if index is not None:
            x = put(self.clip, index, x)
            loss = self.loss.index_copy(0, index, loss)
            fooled = self.fooled.index_copy(0, index, fooled)
        newly_fooled = fooled & ~self.fooled
        better = newly_fooled | ((fooled == self.fooled) & (loss > self.loss))
        self.clip = where(better, x, self.clip)
        self.loss = torch.where(better, loss, self.loss)
        self.fooled = self.fooled | fooled
        return better

    def not_fooled(self) -> Tensor:
        """The clips that no version fools the model on: (K,) int64."""
        return (~self.fooled).nonzero().squeeze(1)


def not_weaker_than_clean(problem: Problem, x: Clip) -> Clip:
    """`x`, but the clean clip where that is the better adversarial.

    An attack that maximizes another loss than cross-entropy may end below the clean cross-entropy.
    """
    best = BestAdversarial(problem.clip)
    for clip in (problem.clip, x):
        logits = problem.logits(clip)
        best.update(clip, problem.adversarial_loss(logits), problem.fooled(logits))
    return best.clip


def where(mask: Tensor, x: Clip, other: Clip) -> Clip:
    """The clips of `x` where `mask`, (B,) bool, is true, and those of `other` elsewhere."""
    return Clip(
        torch.where(each(mask, x.audio), x.audio, other.audio),
        torch.where(each(mask, x.visual), x.visual, other.visual),
    )
