"""Parts of the picture of an instrument. They are drawn once and move with the player."""

from collections.abc import Callable
from typing import NamedTuple

from avrobust.synthetic.score import Motion
from avrobust.synthetic.sprite import Appearance, Matrix, Sprite, Vertex, scale, shift, turn

Drawing = Callable[[Sprite, Appearance], None]


class Part(NamedTuple):
    """One rigid part of an instrument, and how it moves when the instrument is played."""

    draw: Drawing
    stroke: Vertex = (0.0, 0.0)  # shift at bow position 1
    strike: Vertex = (0.0, 0.0)  # shift at an onset
    pitch: Vertex = (0.0, 0.0)  # shift from the lowest note to the highest
    swing: float = 0.0  # rotation at an onset, in degrees
    stretch: float = 0.0  # relative growth in x at bow position 1
    about: Vertex = (0.0, 0.0)  # fixed point of rotation and growth

    def at(self, motion: Motion, frame: int) -> Matrix:
        """Pose of the part at a frame, in instrument units."""
        stroke, strike, pitch = motion.stroke[frame], motion.strike[frame], motion.pitch[frame]
        x = stroke * self.stroke[0] + strike * self.strike[0] + pitch * self.pitch[0]
        y = stroke * self.stroke[1] + strike * self.strike[1] + pitch * self.pitch[1]
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
    """The picture of an instrument."""

    parts: tuple[Part, ...]  # from back to front
    palette: str  # name of the family of colors
    angle: float  # typical angle, in degrees clockwise from the drawing
    spread: float  # standard deviation of the angle in degrees
    reach: float = 1.0  # size relative to other instruments
    bob: float = 4.0  # rotation when the player rocks, in degrees


def hand(center: Vertex, toward: Vertex) -> Drawing:
    """A hand at `center` with a forearm coming from `toward`."""

    def draw(s: Sprite, look: Appearance) -> None:
        s.line([center, toward], 0.17, look.sleeve)
        wrist = (0.75 * center[0] + 0.25 * toward[0], 0.75 * center[1] + 0.25 * toward[1])
        s.line([center, wrist], 0.13, look.skin)
        s.ellipse(center, 0.11, 0.09, look.skin, look.dark)

    return draw


def bow(y: float, length: float, tilt: float = 0.0) -> Drawing:
    """A horizontal bow at height `y`, with the hand that holds its right end."""

    def draw(s: Sprite, look: Appearance) -> None:
        left, right = (-length / 2, y - tilt), (length / 2, y + tilt)
        s.line([left, right], 0.03, look.light)
        s.line([left, (0, y - 0.07), right], 0.045, look.dark)
        s.line([(right[0] - 0.08, right[1]), right], 0.1, look.dark)
        hand(right, (right[0] + 0.3, right[1] + 0.6))(s, look)

    return draw
