"""From an instrument to a recording of it: a second player, the room, the microphone and noise."""

import numpy as np
from scipy import fft

from avrobust.synthetic.difficulty import Difficulty
from avrobust.synthetic.plan import CLASSES
from avrobust.synthetic.score import Floats, Note, compose
from avrobust.synthetic.tones import RATE, play
from avrobust.synthetic.voices import VOICES, Voice, vary


def melody(label: str, rng: np.random.Generator, seconds: float) -> list[Note]:
    """A melody that the instrument can play."""
    voice = VOICES[label]
    return compose(
        rng, low=voice.low, high=voice.high, seconds=seconds, beat=voice.beat, chords=voice.chords
    )


def record(
    label: str, notes: list[Note], rng: np.random.Generator, seconds: float, hard: Difficulty
) -> Floats:
    """Plays and records a score.

    Args:
        label: the instrument's class.
        notes: the score.
        rng: the source of chance.
        seconds: the recording's length.
        hard: the conditions to draw from.

    Returns:
        (S,) at RATE, within [-1, 1].
    """
    samples = round(seconds * RATE)
    source = play(notes, _own(label, rng, hard), rng, samples)
    if rng.random() < hard.distractor_chance:
        source = _loud(source, 0) + _loud(
            _distractor(label, rng, seconds, hard), rng.uniform(*hard.distractor_db)
        )
    heard = _heard(source, rng, hard)
    noise = _loud(_noise(samples, rng), -rng.uniform(*hard.snr_db))
    return np.asarray(np.tanh(_loud(_loud(heard, 0) + noise, rng.uniform(*hard.level_db))))


def _own(label: str, rng: np.random.Generator, hard: Difficulty) -> Voice:
    return vary(VOICES[label], rng, hard.timbre)


def _distractor(label: str, rng: np.random.Generator, seconds: float, hard: Difficulty) -> Floats:
    other = str(rng.choice([name for name in CLASSES if name != label]))
    return play(melody(other, rng, seconds), _own(other, rng, hard), rng, round(seconds * RATE))


def _loud(sound: Floats, level_db: float) -> Floats:
    """The sound with an RMS of `level_db` against 1."""
    return np.asarray(sound * (10 ** (level_db / 20) / np.sqrt(np.mean(sound**2) + 1e-12)))


def _heard(sound: Floats, rng: np.random.Generator, hard: Difficulty) -> Floats:
    """The sound in a room through a microphone."""
    tail = _tail(rng) * rng.uniform(*hard.wet)
    tail[0] += 1
    size = fft.next_fast_len(len(sound) + len(tail), real=True)
    spectrum = fft.rfft(sound, size) * fft.rfft(tail, size) * _microphone(size, rng, hard)
    return np.asarray(fft.irfft(spectrum, size)[: len(sound)])


def _tail(rng: np.random.Generator) -> Floats:
    """A random room's echo with energy 1: noise that dies away within 0.15 to 0.9 s."""
    tail = rng.standard_normal(round(rng.uniform(0.15, 0.9) * RATE))
    tail *= np.exp(-6.9 * np.linspace(0, 1, len(tail)))
    return np.asarray(tail / np.sqrt(np.sum(tail**2)))


def _microphone(size: int, rng: np.random.Generator, hard: Difficulty) -> Floats:
    """A cheap microphone's gain: a slope around 1 kHz, and little below 100 Hz or above a few kHz."""
    hz = np.maximum(fft.rfftfreq(size, 1 / RATE), 20.0)
    slope = (np.clip(hz, 60, 6000) / 1000) ** (rng.uniform(*hard.tilt_db) / 6.02)
    low, high = rng.uniform(40, 140), rng.uniform(3000, 9000)
    return np.asarray(slope / np.sqrt((1 + (low / hz) ** 4) * (1 + (hz / high) ** 4)))


def _noise(samples: int, rng: np.random.Generator) -> Floats:
    """Background noise between white and brown, swelling slowly."""
    size = fft.next_fast_len(samples, real=True)
    color = np.maximum(fft.rfftfreq(size, 1 / RATE), 40.0) ** -rng.uniform(0.0, 1.0)
    parts = rng.standard_normal((2, len(color)))
    noise = fft.irfft((parts[0] + 1j * parts[1]) * color, size)[:samples]
    swell = np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, 8), rng.uniform(0.5, 1.5, 8))
    return np.asarray(noise * swell)
