"""The parameters of each instrument's sound."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from avrobust.synthetic import exact

Formant = tuple[float, float, float]  # center in Hz, width in octaves, gain in dB


@dataclass(frozen=True)
class Voice:
    """The sound of one instrument. `tones.play` synthesizes it."""

    kind: Literal["sustained", "plucked", "struck"]
    low: int  # lowest pitch, a MIDI number
    high: int  # highest pitch, a MIDI number
    slope: float  # decrease of the partials in dB an octave, when played softly
    bright: float = 0.0  # by how much the decrease is less when played loudly, in dB an octave
    even: float = 1.0  # level of the even partials
    attack: float = 0.05  # seconds
    release: float = 0.08  # seconds
    vibrato: float = 0.0  # cents
    scoop: float = 0.0  # difference in pitch at the start of a note, in cents
    noise: float = 0.0  # level of the noise of breath, bow or mallet
    ranks: tuple[float, ...] = (0.0,)  # detuning of each reed that sounds, in cents
    chords: float = 0.0  # probability of a chord
    beat: tuple[float, float] = (0.25, 0.6)  # range of the length of a beat in seconds
    formants: tuple[Formant, ...] = ()


VOICES = {
    "flute": Voice(
        "sustained",
        60,
        90,
        14,
        bright=3,
        attack=0.07,
        vibrato=18,
        noise=0.10,
        formants=((800, 1.2, 4), (2500, 1, -3)),
    ),
    "acoustic_guitar": Voice(
        "plucked",
        40,
        76,
        5,
        bright=3,
        release=0.5,
        chords=0.35,
        beat=(0.2, 0.5),
        formants=((110, 0.5, 6), (220, 0.4, 4)),
    ),
    "accordion": Voice(
        "sustained",
        53,
        86,
        5,
        attack=0.05,
        ranks=(-7.0, 6.0),
        noise=0.01,
        chords=0.45,
        formants=((1800, 1, 4),),
    ),
    "xylophone": Voice("struck", 65, 96, 9, bright=6, release=0.25, noise=0.3, beat=(0.16, 0.4)),
    "erhu": Voice(
        "sustained",
        62,
        88,
        6,
        bright=1,
        attack=0.09,
        vibrato=35,
        scoop=-90,
        noise=0.05,
        formants=((750, 0.5, 8), (1500, 0.6, 6), (3500, 0.7, 4)),
    ),
    "tuba": Voice(
        "sustained",
        30,
        60,
        13,
        bright=4,
        attack=0.09,
        noise=0.01,
        formants=((230, 1, 5),),
        beat=(0.3, 0.7),
    ),
    "saxophone": Voice(
        "sustained",
        49,
        80,
        7,
        bright=3,
        attack=0.05,
        vibrato=20,
        scoop=-50,
        noise=0.05,
        formants=((550, 0.7, 5), (1300, 0.6, 5), (2800, 0.6, 3)),
    ),
    "cello": Voice(
        "sustained",
        38,
        74,
        7,
        bright=1,
        attack=0.10,
        vibrato=22,
        noise=0.04,
        formants=((240, 0.5, 6), (600, 0.6, 3), (1900, 0.6, 3)),
    ),
    "violin": Voice(
        "sustained",
        55,
        92,
        6,
        bright=1,
        attack=0.08,
        vibrato=28,
        noise=0.04,
        formants=((290, 0.4, 4), (550, 0.5, 4), (2600, 0.7, 7)),
    ),
    "clarinet": Voice(
        "sustained",
        50,
        86,
        7,
        bright=2,
        even=0.12,
        attack=0.05,
        noise=0.03,
        formants=((1500, 0.7, 3),),
    ),
    "trumpet": Voice(
        "sustained",
        54,
        82,
        9,
        bright=6,
        attack=0.035,
        vibrato=8,
        scoop=-25,
        noise=0.015,
        formants=((1200, 0.8, 6),),
    ),
}


def vary(voice: Voice, rng: np.random.Generator, spread: float) -> Voice:
    """The instrument of one player: the typical voice with small random changes.

    Args:
        voice: The typical voice of the class.
        rng: Source of randomness.
        spread: Size of the changes. 0 is none; at 1, times and levels change by a factor of up to
            about e, and slopes by about 6 dB an octave.
    """

    def random_factor() -> float:
        return float(exact.exp(spread * rng.normal()))

    # The order of the draws is part of the data set: another order gives other films.
    slope = voice.slope + 6 * spread * rng.normal()
    even = min(voice.even * random_factor(), 1.0)
    even += 0.3 * spread * rng.random() * (voice.even < 1)
    attack = voice.attack * random_factor()
    release = voice.release * random_factor()
    vibrato = (voice.vibrato + 10 * spread) * random_factor() * (rng.random() > 0.5 * spread)
    scoop = voice.scoop * random_factor()
    noise = voice.noise * random_factor()
    formants = []
    for hz, width, gain_db in voice.formants:
        hz_factor = float(exact.exp(0.4 * spread * rng.normal()))
        formants.append((hz * hz_factor, width, gain_db * random_factor()))
    return replace(
        voice,
        slope=slope,
        even=even,
        attack=attack,
        release=release,
        vibrato=vibrato,
        scoop=scoop,
        noise=noise,
        formants=tuple(formants),
    )
