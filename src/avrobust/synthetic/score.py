"""What is played and how the player moves: one score drives both sound and picture, so that they agree in time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 4, 7, 9),
)  # major, minor, pentatonic
_CHORDS = ((4, 7), (3, 7), (7,), (12,))


class Note(NamedTuple):
    """One note, or a chord."""

    start: float  # seconds
    length: float  # seconds
    pitch: int  # MIDI number
    loudness: float  # 0 to 1
    chord: tuple[int, ...] = ()  # further notes, semitones above


class Motion(NamedTuple):
    """Where the player is at each frame. Bow, bellows and body move the faster the louder, and rest in silence."""

    stroke: Floats  # (T,) -1 to 1: the bow or bellows, to and fro
    sway: Floats  # (T,) -1 to 1: the body, rocking gently
    strike: Floats  # (T,) 0 to 1: jumps at each onset, then dies away
    pitch: Floats  # (T,) 0 to 1: the lowest to the highest note played


def compose(
    rng: np.random.Generator,
    *,
    low: int,
    high: int,
    seconds: float,
    beat: tuple[float, float],
    chords: float = 0.0,
) -> list[Note]:
    """Makes up a little melody: a random walk over a scale, with rests.

    Args:
        rng: the source of chance.
        low: lowest pitch, as a MIDI number.
        high: highest pitch.
        seconds: how long the melody may be.
        beat: range of the beat's length in seconds.
        chords: chance that a note is a chord.
    """
    steps = _ladder(rng, low, high)
    place, beat_length = int(rng.integers(len(steps))), rng.uniform(*beat)
    notes: list[Note] = []
    now = rng.uniform(0, 0.2)
    while now < seconds - 0.1:
        length = beat_length * rng.choice((0.5, 1.0, 1.0, 1.5, 2.0))
        place = int(np.clip(place + rng.integers(-3, 4), 0, len(steps) - 1))
        if not notes or rng.random() > 0.12:
            chord = _CHORDS[rng.integers(len(_CHORDS))] if rng.random() < chords else ()
            sounding = min(length * rng.uniform(0.8, 1.0), seconds - now)
            notes.append(Note(now, sounding, steps[place], rng.uniform(0.35, 1.0), chord))
        now += length
    return notes


def _ladder(rng: np.random.Generator, low: int, high: int) -> list[int]:
    """The pitches of a random scale within about an octave and a half of the range."""
    key, scale = int(rng.integers(12)), _SCALES[rng.integers(len(_SCALES))]
    bottom = int(rng.integers(low, max(low + 1, high - 17)))
    return [p for p in range(bottom, min(high, bottom + 18) + 1) if (p - key) % 12 in scale]


def perform(notes: list[Note], times: Floats) -> Motion:
    """The player's motion at the given times, in seconds."""
    starts = np.array([n.start for n in notes])
    loudness = np.array([n.loudness for n in notes])
    pitches = np.array([n.pitch for n in notes], float)
    last = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    since = np.maximum(times - starts[last], 0) + 10.0 * (times < starts[0])
    travel = _travel(notes, times)
    span = max(np.ptp(pitches), 1.0)
    return Motion(
        stroke=2 * np.abs((1.3 * travel + 0.25) % 2 - 1) - 1,
        sway=np.sin(2 * np.pi * 0.9 * travel),
        strike=loudness[last] * np.exp(-since / 0.12),
        pitch=(pitches[last] - pitches.min()) / span,
    )


def _travel(notes: list[Note], times: Floats) -> Floats:
    """How far all movement has come by each time: loudness summed up over time, with soft starts and ends of notes."""
    fine = np.arange(0, times[-1] + 0.02, 0.01)
    energy = np.zeros_like(fine)
    for note in notes:
        end = note.start + note.length
        shape = np.interp(
            fine, [note.start, note.start + 0.06, end, end + 0.12], [0, 1, 0.8, 0], left=0, right=0
        )
        energy = np.maximum(energy, note.loudness * shape)
    return np.interp(times, fine, np.cumsum(energy) * 0.01)
