"""How hard the embedded data set is: every knob that makes hearing or seeing an instrument harder."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Range = tuple[float, float]


@dataclass(frozen=True)
class Difficulty:
    """The ranges that each clip draws its conditions from."""

    # Sound
    timbre: float = 0.35  # how far one player's instrument departs from its class's typical sound; 0 is not at all
    snr_db: Range = (6.0, 26.0)  # sound over background noise
    distractor_chance: float = 0.6  # of another class's instrument playing quietly along
    distractor_db: Range = (-9.0, 0.0)  # its level against the source
    tilt_db: Range = (-3.0, 3.0)  # the microphone's slope in dB an octave around 1 kHz
    wet: Range = (0.05, 0.35)  # the room's share
    level_db: Range = (-30.0, -16.0)  # the recording's level, RMS against full scale
    # Picture
    scale: Range = (0.6, 0.9)  # the instrument's long side against the frame's
    turn: float = 0.8  # times each instrument's own spread of angles
    shift: float = 0.05  # of the instrument's center from the frame's, standard deviation, as a share of the side
    shapes: tuple[int, int] = (2, 6)  # in the background
    bystander_chance: float = 0.5  # of another, silent instrument standing in the background
    bystander_scale: Range = (0.5, 0.8)  # of the source's size
    occluder_chance: float = 0.2  # of something passing in front of the source
    haze: Range = (0.0, 0.3)  # how far contrast is lost
    blur: Range = (0.0, 0.6)  # pixels of a 112-pixel frame
    noise: Range = (2.0, 5.0)  # the camera's, in 8-bit levels
    shake: float = 0.012  # the hand-held camera's, as a share of the side


DIFFICULTY = Difficulty()

# "stage" is for finding the source: seen from farther away, off the middle, with a silent
# instrument beside it.
Scene = Literal["close", "stage"]
SCENES: Mapping[Scene, Difficulty] = MappingProxyType(
    {
        "close": DIFFICULTY,
        "stage": Difficulty(
            scale=(0.35, 0.55), shift=0.3, bystander_chance=1.0, bystander_scale=(0.8, 1.1)
        ),
    }
)
