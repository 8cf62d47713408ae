"""Plays a score on a voice: sustained, plucked and struck tones, each a few lines of signal processing."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import fft

from avrobust.synthetic.score import Floats, Note
from avrobust.synthetic.voices import Voice

RATE = 22_050  # samples a second of the films' sound
_TABLE = 2048  # points of one stored period
_BAR = (
    (1.0, 1.0, 1.0),
    (3.0, 0.45, 0.5),
    (9.2, 0.2, 0.25),
)  # a xylophone bar's modes: frequency, level, length


def play(notes: list[Note], voice: Voice, rng: np.random.Generator, samples: int) -> Floats:
    """Plays a score.

    Returns:
        (samples,) with no particular level; the body's resonances are in it.
    """
    sound = np.zeros(samples)
    for note in notes:
        for interval in (0, *note.chord):
            hz = 440.0 * 2 ** ((note.pitch + interval - 69) / 12)
            tone = _KINDS[voice.kind](hz, note, voice, rng)
            first = int(note.start * RATE)
            sound[first : first + len(tone)] += note.loudness * tone[: samples - first]
    return _resonate(sound, voice)


def _sustained(hz: float, note: Note, voice: Voice, rng: np.random.Generator) -> Floats:
    """Bowed and blown: stored periods, brighter the louder, with vibrato, a gliding start and noise."""
    time = _times(note.length + voice.release)
    shape = _swell(time, note, voice)
    wave = np.zeros_like(time)
    for rank in voice.ranks:
        cents = rank + _bend(time, voice, rng)
        phase = np.cumsum(hz / RATE * 2 ** (cents / 1200)) + rng.random()
        place = (phase * _TABLE).astype(np.int64) % _TABLE
        soft, loud = _period(hz, voice, 0.0)[place], _period(hz, voice, 1.0)[place]
        wave += soft + shape * note.loudness * (loud - soft)
    breath = voice.noise * rng.standard_normal(len(time)) * (1 + 2 * np.exp(-time / 0.04))
    return np.asarray(shape * (wave / len(voice.ranks) + breath))


def _plucked(hz: float, note: Note, voice: Voice, rng: np.random.Generator) -> Floats:
    """Karplus-Strong: each period is the last one, slightly smoothed. In the Fourier domain that is a power."""
    time = _times(note.length + voice.release)
    period = round(RATE / hz)
    burst = _period(hz, voice, note.loudness)[:: -(-_TABLE // period)]
    burst = np.interp(np.arange(period) / period, np.arange(len(burst)) / len(burst), burst)
    burst = burst + 0.5 * rng.standard_normal(period) * np.hanning(period)
    turns = 2 * np.pi * np.arange(period // 2 + 1) / period
    once = 0.5 ** (1 / (hz * 0.35)) * (0.75 + 0.25 * np.cos(turns))
    count = len(time) // period + 2
    string = fft.irfft(fft.rfft(burst) * once ** np.arange(count)[:, None], period).ravel()
    tuned = np.interp(
        time * hz * period, np.arange(len(string)), string
    )  # a period need not be whole samples
    return np.asarray(tuned * np.minimum(1, (time[-1] - time) / 0.03))


def _struck(hz: float, note: Note, voice: Voice, rng: np.random.Generator) -> Floats:
    """A bar: three inharmonic modes and the mallet's knock."""
    time = _times(min(note.length, 0.3) + voice.release)
    level = 2 ** (-(voice.slope - voice.bright * note.loudness) / 9)
    wave = voice.noise * rng.standard_normal(len(time)) * np.exp(-time / 0.006)
    for number, (ratio, gain, length) in enumerate(_BAR):
        if hz * ratio < RATE / 2:
            decay = np.exp(-time / (voice.release * length * (700 / hz) ** 0.5))
            wave += gain * (3 * level) ** number * decay * np.sin(2 * np.pi * hz * ratio * time)
    return np.asarray(wave * np.minimum(1, (time[-1] - time) / 0.02))


_KINDS: Mapping[str, Callable[[float, Note, Voice, np.random.Generator], Floats]] = {
    "sustained": _sustained,
    "plucked": _plucked,
    "struck": _struck,
}


def _times(seconds: float) -> Floats:
    return np.arange(max(int(seconds * RATE), 2)) / RATE


def _swell(time: Floats, note: Note, voice: Voice) -> Floats:
    """The loudness over one note: rise, slight sag, fall."""
    rise = 1 - np.exp(-time / voice.attack)
    fall = np.minimum(1, np.exp(-(time - note.length) / (voice.release / 3)))
    return np.asarray(rise * fall * (1 - 0.25 * time / time[-1]))


def _bend(time: Floats, voice: Voice, rng: np.random.Generator) -> Floats:
    """How far the pitch is off, in cents: a glide into the note, then vibrato."""
    turns = rng.uniform(4.8, 6.5) * time + rng.random()
    wobble = voice.vibrato * np.minimum(1, time / 0.3) * np.sin(2 * np.pi * turns)
    return np.asarray(voice.scoop * np.exp(-time / 0.05) + wobble + 5 * rng.normal())


def _period(hz: float, voice: Voice, loudness: float) -> Floats:
    """(_TABLE,) one period with RMS 1, free of aliases."""
    number = np.arange(1, min(int(0.45 * RATE / hz), 60) + 1)
    level = number ** (-(voice.slope - voice.bright * loudness) / 6.02) * np.where(
        number % 2, 1, voice.even
    )
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    spectrum[number] = -1j * level * np.exp(1j * number**2)  # spread phases: a low crest
    wave = fft.irfft(spectrum)
    return np.asarray(wave / np.sqrt(np.mean(wave**2)))


def _resonate(sound: Floats, voice: Voice) -> Floats:
    """The instrument's body: a gain that depends on frequency."""
    size = fft.next_fast_len(len(sound), real=True)
    octaves = np.log2(np.maximum(fft.rfftfreq(size, 1 / RATE), 20.0))
    gain = sum(
        (db * np.exp(-(((octaves - np.log2(hz)) / w) ** 2)) for hz, w, db in voice.formants),
        np.zeros_like(octaves),
    )
    return np.asarray(fft.irfft(fft.rfft(sound, size) * 10 ** (gain / 20), size)[: len(sound)])
