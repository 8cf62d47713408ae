"""What a film of the embedded data set is made with; light to import, as every run asks whether the films are these."""

from typing import NamedTuple

from avrobust.synthetic.difficulty import DIFFICULTY, Difficulty


class Settings(NamedTuple):
    """What a film is made with besides its place in the plan; kept in the film, to tell it from another set's."""

    seed: int
    seconds: float = 6.0
    size: int = 112
    difficulty: Difficulty = DIFFICULTY
    version: int = (
        1  # raise it when the same settings make other films: finished ones are then made anew
    )
