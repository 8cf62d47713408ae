"""The settings of the synthetic films. Light to import: every run checks them."""

from dataclasses import dataclass

from avrobust.synthetic.difficulty import DIFFICULTY, Difficulty


@dataclass(frozen=True)
class Settings:
    """What determines a film, apart from its split, class and number.

    Each film stores the text of its settings, so a change of a name in here makes all films anew.
    """

    seed: int
    seconds: float = 6.0  # length of a film
    size: int = 112  # width and height of the frames in pixels
    difficulty: Difficulty = DIFFICULTY
    version: int = 2  # to be raised when equal settings give different films
