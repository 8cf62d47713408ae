"""The clips of the synthetic data set, and the random generators of each clip."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from avrobust.data.layout import SPLITS, Split
from avrobust.errors import UserError

# The classes of MIT-MUSIC, in the order of their release.
CLASSES = (
    "flute",
    "acoustic_guitar",
    "accordion",
    "xylophone",
    "erhu",
    "tuba",
    "saxophone",
    "cello",
    "violin",
    "clarinet",
    "trumpet",
)


class ClipSpec(NamedTuple):
    """One clip. Together with the seed it determines the film."""

    split: Split
    label: str
    number: int  # counted from 0 within split and class

    @property
    def path(self) -> str:
        """Path of the film relative to the folder of videos."""
        return f"{self.label}/{self.split}_{self.number:03d}.mp4"

    def rng(self, seed: int, purpose: str) -> np.random.Generator:
        """A generator for one purpose.

        Each purpose has its own generator, so one more draw for the sound does not change the
        picture.
        """
        split, label = SPLITS.index(self.split), CLASSES.index(self.label)
        return np.random.default_rng([seed, split, label, self.number, *purpose.encode()])


def plan(clips: Mapping[Split, int]) -> list[ClipSpec]:
    """Lists the clips, spread over the classes as evenly as possible.

    A smaller plan is a part of every larger one.

    Args:
        clips: Number of clips of each split.

    Raises:
        UserError: The name of a split is unknown, or a number is negative.
    """
    for name, count in clips.items():
        if name not in SPLITS or count < 0:
            raise UserError(
                f"clips: {name}={count} is not one of {', '.join(SPLITS)} with a number from 0"
            )
    specs = []
    for split in SPLITS:
        for i in range(clips.get(split, 0)):
            number, label = divmod(i, len(CLASSES))
            specs.append(ClipSpec(split, CLASSES[label], number))
    return specs
