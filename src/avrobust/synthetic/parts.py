"""What an instrument's picture is made of: parts that are drawn once and move with the player."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from avrobust.synthetic.score import Motion
from avrobust.synthetic.sprite import Look, Matrix, Point, Sprite, scale, shift, turn

Drawing = Callable[[Sprite, Look], None]


class Part(NamedTuple):
    """One rigid piece and how it follows the playing."""

    draw: Drawing
    stroke: Point = (0.0, 0.0)  # moves so far at bow position 1
    strike: Point = (0.0, 0.0)  # moves so far at an onset
    pitch: Point = (0.0, 0.0)  # moves so far from the lowest note to the highest
    swing: float = 0.0  # turns so far at an onset, degrees
    stretch: float = 0.0  # grows in x by this share at bow position 1
    about: Point = (0.0, 0.0)  # where it turns, and what stays where it is when it stretches

    def at(self, motion: Motion, frame: int) -> Matrix:
        """Where the part is at a frame, in instrument units."""
        stroke, strike, pitch = motion.stroke[frame], motion.strike[frame], motion.pitch[frame]
        drives = np.array([stroke, strike, pitch])
        x, y = drives @ np.array([self.stroke, self.strike, self.pitch])
        matrix = shift(x, y)
        if self.swing:
            matrix = matrix @ turn(self.swing * strike, self.about)
        if self.stretch:
            matrix = (
                matrix
                @ shift(*self.about)
                @ scale(1 + self.stretch * stroke, 1)
                @ shift(-self.about[0], -self.about[1])
            )
        return matrix


class Instrument(NamedTuple):
    """An instrument's picture."""

    parts: tuple[Part, ...]  # from back to front
    palette: str  # which family of colors
    angle: float  # how it is usually held, degrees clockwise from its drawing
    spread: float  # standard deviation of that
    reach: float = 1.0  # how much larger than others it is shown
    bob: float = 4.0  # how far the player rocks with it, degrees


def hand(center: Point, toward: Point) -> Drawing:
    """A hand at `center` with a forearm coming from `toward`."""

    def draw(s: Sprite, look: Look) -> None:
        s.line([center, toward], 0.17, look.sleeve)
        wrist = (0.75 * center[0] + 0.25 * toward[0], 0.75 * center[1] + 0.25 * toward[1])
        s.line([center, wrist], 0.13, look.skin)
        s.ellipse(center, 0.11, 0.09, look.skin, look.dark)

    return draw


def bow(y: float, length: float, tilt: float = 0.0) -> Drawing:
    """A bow lying across at height `y`, with the hand that holds its right end."""

    def draw(s: Sprite, look: Look) -> None:
        left, right = (-length / 2, y - tilt), (length / 2, y + tilt)
        s.line([left, right], 0.03, look.light)
        s.line([left, (0, y - 0.07), right], 0.045, look.dark)
        s.line([(right[0] - 0.08, right[1]), right], 0.1, look.dark)
        hand(right, (right[0] + 0.3, right[1] + 0.6))(s, look)

    return draw
