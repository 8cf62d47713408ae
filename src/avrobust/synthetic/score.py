"""The score of a clip, and the motion of the player.

Sound and picture are made from one score, so they agree in time.
"""

from typing import NamedTuple

import numpy as np

from avrobust.synthetic import exact
from avrobust.synthetic.exact import Floats

# Major, minor and pentatonic, in semitones above the key.
_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 4, 7, 9),
)
_CHORDS = ((4, 7), (3, 7), (7,), (12,))


class MusicalNote(NamedTuple):
    """One note, or a chord."""

    start: float  # seconds
    length: float  # seconds
    pitch: int  # MIDI number
    loudness: float  # 0 to 1
    chord: tuple[int, ...] = ()  # further notes, semitones above


class Motion(NamedTuple):
    """The motion of the player at each of T frames.

    Bow, bellows and body move faster when the music is louder, and rest in silence.
    """

    stroke: Floats  # (T,) in [-1, 1]: position of the bow or bellows
    sway: Floats  # (T,) in [-1, 1]: rocking of the body
    strike: Floats  # (T,) in [0, 1]: jumps at each onset and decays
    pitch: Floats  # (T,) in [0, 1]: from the lowest to the highest note of the clip


def compose(
    rng: np.random.Generator,
    *,
    low: int,
    high: int,
    seconds: float,
    beat: tuple[float, float],
    chords: float = 0.0,
) -> list[MusicalNote]:
    """Composes a short melody: a random walk over a scale, with rests.

    Args:
        rng: Source of randomness.
        low: Lowest pitch as a MIDI number.
        high: Highest pitch as a MIDI number.
        seconds: Longest length of the melody.
        beat: Range of the length of a beat in seconds.
        chords: Probability that a note is a chord.
    """
    pitches = _random_scale(rng, low, high)
    step = int(rng.integers(len(pitches)))
    beat_length = rng.uniform(*beat)
    notes: list[MusicalNote] = []
    now = rng.uniform(0, 0.2)
    while now < seconds - 0.1:
        length = beat_length * rng.choice((0.5, 1.0, 1.0, 1.5, 2.0))
        step = int(np.clip(step + rng.integers(-3, 4), 0, len(pitches) - 1))
        if not notes or rng.random() > 0.12:
            chord = _CHORDS[rng.integers(len(_CHORDS))] if rng.random() < chords else ()
            note_length = min(length * rng.uniform(0.8, 1.0), seconds - now)
            notes.append(
                MusicalNote(now, note_length, pitches[step], rng.uniform(0.35, 1.0), chord)
            )
        now += length
    return notes


def _random_scale(rng: np.random.Generator, low: int, high: int) -> list[int]:
    """The pitches of a random scale, over at most an octave and a half of the range."""
    key = int(rng.integers(12))
    scale = _SCALES[rng.integers(len(_SCALES))]
    lowest = int(rng.integers(low, max(low + 1, high - 17)))
    highest = min(high, lowest + 18)
    return [pitch for pitch in range(lowest, highest + 1) if (pitch - key) % 12 in scale]


def perform(notes: list[MusicalNote], times: Floats) -> Motion:
    """Computes the motion of the player.

    Args:
        notes: The score.
        times: Times (T,) in seconds, rising.
    """
    starts = np.array([note.start for note in notes])
    loudness = np.array([note.loudness for note in notes])
    pitches = np.array([note.pitch for note in notes], float)
    last = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    # Before the first note, the last onset counts as long ago.
    since_onset = np.maximum(times - starts[last], 0) + 10.0 * (times < starts[0])
    travel = _travel(notes, times)
    span = max(np.ptp(pitches), 1.0)
    return Motion(
        stroke=2 * np.abs((1.3 * travel + 0.25) % 2 - 1) - 1,
        sway=exact.sin(2 * np.pi * 0.9 * travel),
        strike=loudness[last] * exact.exp(-since_onset / 0.12),
        pitch=(pitches[last] - pitches.min()) / span,
    )


def _travel(notes: list[MusicalNote], times: Floats) -> Floats:
    """Distance of all movement up to each time: the integral of the loudness over time.

    Notes start and end softly.
    """
    fine_times = np.arange(0, times[-1] + 0.02, 0.01)
    speed = np.zeros_like(fine_times)
    for note in notes:
        end = note.start + note.length
        corners = [note.start, note.start + 0.06, end, end + 0.12]
        envelope = np.interp(fine_times, corners, [0, 1, 0.8, 0], left=0, right=0)
        speed = np.maximum(speed, note.loudness * envelope)
    return np.interp(times, fine_times, np.cumsum(speed) * 0.01)
