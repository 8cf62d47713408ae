"""Which clips there are, and the random numbers each is made from."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from avrobust.data.layout import SPLITS, Split
from avrobust.errors import UserError

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
)  # MIT-MUSIC's, in its released order


class ClipSpec(NamedTuple):
    """One clip of the plan; with the seed it determines everything that is seen and heard."""

    split: Split
    label: str
    number: int  # counted from 0 within split and class

    @property
    def path(self) -> str:
        """Where the film lies, relative to the videos' folder."""
        return f"{self.label}/{self.split}_{self.number:03d}.mp4"

    def rng(self, seed: int, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that one more draw for the sound leaves the picture as it was."""
        return np.random.default_rng(
            [
                seed,
                SPLITS.index(self.split),
                CLASSES.index(self.label),
                self.number,
                *purpose.encode(),
            ]
        )


def plan(clips: Mapping[Split, int]) -> list[ClipSpec]:
    """Lists the clips, spread over the classes as evenly as can be; a smaller plan is a part of every larger one.

    Args:
        clips: how many clips each split gets in all.

    Raises:
        UserError: a split's name is unknown or its number negative.
    """
    for name, count in clips.items():
        if name not in SPLITS or count < 0:
            raise UserError(
                f"clips: {name}={count} is not one of {', '.join(SPLITS)} with a number from 0"
            )
    return [
        ClipSpec(split, CLASSES[i % len(CLASSES)], i // len(CLASSES))
        for split in SPLITS
        for i in range(clips.get(split, 0))
    ]
