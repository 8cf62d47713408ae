"""The difficulty of the synthetic data set: all parameters that make a clip harder to recognize."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Range = tuple[float, float]


@dataclass(frozen=True)
class Difficulty:
    """The ranges from which the conditions of each clip are drawn."""

    # Sound
    timbre: float = 0.35  # deviation from the typical sound of the class; 0 is none
    snr_db: Range = (6.0, 26.0)  # signal-to-noise ratio
    distractor_chance: float = 0.6  # probability that an instrument of another class plays too
    distractor_db: Range = (-9.0, 0.0)  # level of that instrument relative to the source
    tilt_db: Range = (-3.0, 3.0)  # slope of the microphone in dB an octave, around 1 kHz
    wet: Range = (0.05, 0.35)  # level of the room's reverberation
    level_db: Range = (-30.0, -16.0)  # RMS of the recording relative to full scale
    # Picture
    scale: Range = (0.6, 0.9)  # size of the instrument relative to the frame
    turn: float = 0.8  # factor of each instrument's spread of angles
    shift: float = 0.05  # standard deviation of the instrument's place, relative to the frame
    shapes: tuple[int, int] = (2, 6)  # number of shapes in the background
    bystander_chance: float = 0.5  # probability of a silent instrument in the background
    bystander_scale: Range = (0.5, 0.8)  # size of that instrument relative to the source
    occluder_chance: float = 0.2  # probability of an object in front of the source
    haze: Range = (0.0, 0.3)  # loss of contrast
    blur: Range = (0.0, 0.6)  # in pixels of a frame of 112 pixels
    noise: Range = (2.0, 5.0)  # camera noise in 8-bit levels
    shake: float = 0.012  # movement of the camera, relative to the frame


DIFFICULTY = Difficulty()

# "stage" is for localization of the sounding object: the instrument is farther away and off the
# center, and a silent instrument is beside it.
Scene = Literal["close", "stage"]
SCENES: Mapping[Scene, Difficulty] = MappingProxyType(
    {
        "close": DIFFICULTY,
        "stage": Difficulty(
            scale=(0.35, 0.55), shift=0.3, bystander_chance=1.0, bystander_scale=(0.8, 1.1)
        ),
    }
)
