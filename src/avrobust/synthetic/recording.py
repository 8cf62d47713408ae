"""Records an instrument: with a second player, in a room, through a microphone, with noise."""

import numpy as np
from scipy import fft

from avrobust.synthetic import exact
from avrobust.synthetic.difficulty import Difficulty
from avrobust.synthetic.exact import Floats
from avrobust.synthetic.plan import CLASSES
from avrobust.synthetic.score import MusicalNote, compose
from avrobust.synthetic.tones import RATE, play
from avrobust.synthetic.voices import VOICES, Voice, vary


def melody(label: str, rng: np.random.Generator, seconds: float) -> list[MusicalNote]:
    """Composes a melody in the range of the instrument."""
    voice = VOICES[label]
    return compose(
        rng, low=voice.low, high=voice.high, seconds=seconds, beat=voice.beat, chords=voice.chords
    )


def render_recording(
    label: str,
    notes: list[MusicalNote],
    rng: np.random.Generator,
    seconds: float,
    difficulty: Difficulty,
) -> Floats:
    """Plays and records a score.

    Args:
        label: Class of the instrument.
        notes: The score.
        rng: Source of randomness.
        seconds: Length of the recording.
        difficulty: Ranges from which the conditions are drawn.

    Returns:
        Waveform (S,) in [-1, 1] at RATE.
    """
    samples = round(seconds * RATE)
    source = play(notes, _random_voice(label, rng, difficulty), rng, samples)
    if rng.random() < difficulty.distractor_chance:
        distractor = _distractor(label, rng, seconds, difficulty)
        level_db = rng.uniform(*difficulty.distractor_db)
        source = _set_level(source, 0) + _set_level(distractor, level_db)
    recorded = _record_in_room(source, rng, difficulty)
    noise = _set_level(_noise(samples, rng), -rng.uniform(*difficulty.snr_db))
    mixture = _set_level(recorded, 0) + noise
    return exact.tanh(_set_level(mixture, rng.uniform(*difficulty.level_db)))


def _random_voice(label: str, rng: np.random.Generator, difficulty: Difficulty) -> Voice:
    return vary(VOICES[label], rng, difficulty.timbre)


def _distractor(
    label: str, rng: np.random.Generator, seconds: float, difficulty: Difficulty
) -> Floats:
    """A second instrument, of another class."""
    other = str(rng.choice([name for name in CLASSES if name != label]))
    notes = melody(other, rng, seconds)
    return play(notes, _random_voice(other, rng, difficulty), rng, round(seconds * RATE))


def _set_level(sound: Floats, level_db: float) -> Floats:
    """Scales the sound to an RMS of `level_db` relative to 1."""
    level = exact.power(10.0, level_db / 20)
    return np.asarray(sound * (level / np.sqrt(np.mean(sound**2) + 1e-12)))


def _record_in_room(sound: Floats, rng: np.random.Generator, difficulty: Difficulty) -> Floats:
    """The sound in a room, recorded with a microphone."""
    impulse_response = _reverberation(rng) * rng.uniform(*difficulty.wet)
    impulse_response[0] += 1
    size = fft.next_fast_len(len(sound) + len(impulse_response), real=True)
    spectrum = exact.multiply(fft.rfft(sound, size), fft.rfft(impulse_response, size))
    spectrum = spectrum * _microphone(size, rng, difficulty)
    return np.asarray(fft.irfft(spectrum, size)[: len(sound)])


def _reverberation(rng: np.random.Generator) -> Floats:
    """Reverberation of a random room with energy 1: noise that decays within 0.15 to 0.9 s."""
    tail = rng.standard_normal(round(rng.uniform(0.15, 0.9) * RATE))
    tail *= exact.exp(-6.9 * np.linspace(0, 1, len(tail)))
    return np.asarray(tail / np.sqrt(np.sum(tail**2)))


def _microphone(size: int, rng: np.random.Generator, difficulty: Difficulty) -> Floats:
    """Gain of a cheap microphone: a slope around 1 kHz, low below 100 Hz and above a few kHz."""
    hz = np.maximum(fft.rfftfreq(size, 1 / RATE), 20.0)
    tilt = rng.uniform(*difficulty.tilt_db) / 6.02
    slope = exact.power(np.clip(hz, 60, 6000) / 1000, tilt)
    low, high = rng.uniform(40, 140), rng.uniform(3000, 9000)
    low_squared, high_squared = (low / hz) ** 2, (hz / high) ** 2
    cut = (1 + low_squared * low_squared) * (1 + high_squared * high_squared)
    return np.asarray(slope / np.sqrt(cut))


def _noise(samples: int, rng: np.random.Generator) -> Floats:
    """Background noise between white and brown, with slow changes of its level."""
    size = fft.next_fast_len(samples, real=True)
    hz = np.maximum(fft.rfftfreq(size, 1 / RATE), 40.0)
    color = exact.power(hz, -rng.uniform(0.0, 1.0))
    parts = rng.standard_normal((2, len(color)))
    spectrum = np.empty(len(hz), complex)
    spectrum.real, spectrum.imag = parts * color
    noise = fft.irfft(spectrum, size)[:samples]
    level = np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, 8), rng.uniform(0.5, 1.5, 8))
    return np.asarray(noise * level)
