"""A condition that is no attack: the sound is turned down, or off."""

from typing import final

from avrobust.attacks.base import Outcome
from avrobust.evaluation.conditions import CleanBatch, Condition
from avrobust.ranges import Fraction


@final
class Quieter(Condition):
    """The waveform times a factor; the frames stay as they are.

    Args:
        name: Of the condition, unique in an evaluation.
        factor: 0 is silence, 1 the clean clip.

    Raises:
        ValueError: `factor` is out of range.
    """

    modalities = ("audio",)

    def __init__(self, name: str = "muted", factor: Fraction = 0.0) -> None:
        self.name, self.title, self.factor = name, name, factor

    def apply(self, batch: CleanBatch) -> Outcome:
        return Outcome(batch.clip._replace(audio=self.factor * batch.clip.audio))
