"""Synthesizes a score with the voice of an instrument: sustained, plucked and struck tones."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import fft

from avrobust.synthetic import exact
from avrobust.synthetic.exact import Floats
from avrobust.synthetic.score import MusicalNote
from avrobust.synthetic.voices import Voice

RATE = 22_050  # samples a second of the films' sound
_TABLE = 2048  # samples of one period in a wavetable

# The modes of a xylophone bar: relative frequency, level and length.
_BAR_MODES = (
    (1.0, 1.0, 1.0),
    (3.0, 0.45, 0.5),
    (9.2, 0.2, 0.25),
)


def play(notes: list[MusicalNote], voice: Voice, rng: np.random.Generator, samples: int) -> Floats:
    """Synthesizes a score, with the resonances of the instrument's body.

    Returns:
        Waveform (samples,) at RATE, of any level.
    """
    sound = np.zeros(samples)
    for note in notes:
        for interval in (0, *note.chord):
            hz = 440.0 * float(exact.exp2((note.pitch + interval - 69) / 12))
            tone = _KINDS[voice.kind](hz, note, voice, rng)
            first = int(note.start * RATE)
            sound[first : first + len(tone)] += note.loudness * tone[: samples - first]
    return _resonate(sound, voice)


def _sustained(hz: float, note: MusicalNote, voice: Voice, rng: np.random.Generator) -> Floats:
    """A bowed or blown tone: wavetables, with vibrato, a glide at the start, and noise.

    A louder tone has stronger high partials.
    """
    time = _times(note.length + voice.release)
    envelope = _envelope(time, note, voice)
    wave = np.zeros_like(time)
    for rank in voice.ranks:
        cents = rank + _pitch_deviation(time, voice, rng)
        phase = np.cumsum(hz / RATE * exact.exp2(cents / 1200)) + rng.random()
        index = (phase * _TABLE).astype(np.int64) % _TABLE
        soft = _wavetable(hz, voice, 0.0)[index]
        loud = _wavetable(hz, voice, 1.0)[index]
        wave += soft + envelope * note.loudness * (loud - soft)
    breath = voice.noise * rng.standard_normal(len(time)) * (1 + 2 * exact.exp(-time / 0.04))
    return np.asarray(envelope * (wave / len(voice.ranks) + breath))


def _plucked(hz: float, note: MusicalNote, voice: Voice, rng: np.random.Generator) -> Floats:
    """A plucked string after Karplus and Strong: each period is the last one, slightly smoothed.

    In the Fourier domain, smoothing n times is a multiplication by the n-th power of the filter.
    """
    time = _times(note.length + voice.release)
    period = round(RATE / hz)
    burst = _wavetable(hz, voice, note.loudness)[:: -(-_TABLE // period)]
    burst = np.interp(np.arange(period) / period, np.arange(len(burst)) / len(burst), burst)
    burst = burst + 0.5 * rng.standard_normal(period) * _hann(period)
    angles = 2 * np.pi * np.arange(period // 2 + 1) / period
    smoothing = exact.exp2(-1 / (hz * 0.35)) * (0.75 + 0.25 * exact.cos(angles))
    count = len(time) // period + 2
    spectra = fft.rfft(burst) * exact.power(smoothing, np.arange(count)[:, None])
    string = fft.irfft(spectra, period).ravel()
    # A true period is no whole number of samples, so the string is resampled.
    tuned = np.interp(time * hz * period, np.arange(len(string)), string)
    return np.asarray(tuned * np.minimum(1, (time[-1] - time) / 0.03))


def _struck(hz: float, note: MusicalNote, voice: Voice, rng: np.random.Generator) -> Floats:
    """A struck bar: three inharmonic modes, and the noise of the mallet."""
    time = _times(min(note.length, 0.3) + voice.release)
    level = 3 * exact.exp2(-(voice.slope - voice.bright * note.loudness) / 9)
    wave = voice.noise * rng.standard_normal(len(time)) * exact.exp(-time / 0.006)
    for number, (ratio, gain, length) in enumerate(_BAR_MODES):
        if hz * ratio < RATE / 2:
            decay = exact.exp(-time / (voice.release * length * np.sqrt(700 / hz)))
            mode = gain * exact.power(level, number) * decay
            wave += mode * exact.sin(2 * np.pi * hz * ratio * time)
    return np.asarray(wave * np.minimum(1, (time[-1] - time) / 0.02))


# Synthesizes one tone: frequency in Hz, note, voice and randomness to a waveform.
_KINDS: Mapping[str, Callable[[float, MusicalNote, Voice, np.random.Generator], Floats]] = {
    "sustained": _sustained,
    "plucked": _plucked,
    "struck": _struck,
}


def _times(seconds: float) -> Floats:
    return np.arange(max(int(seconds * RATE), 2)) / RATE


def _envelope(time: Floats, note: MusicalNote, voice: Voice) -> Floats:
    """The level during one note: a rise, a slow decrease, and a fall at the end."""
    rise = 1 - exact.exp(-time / voice.attack)
    fall = np.minimum(1, exact.exp(-(time - note.length) / (voice.release / 3)))
    return np.asarray(rise * fall * (1 - 0.25 * time / time[-1]))


def _pitch_deviation(time: Floats, voice: Voice, rng: np.random.Generator) -> Floats:
    """Deviation of the pitch in cents: a glide into the note, vibrato, a constant error."""
    phase = rng.uniform(4.8, 6.5) * time + rng.random()
    vibrato = voice.vibrato * np.minimum(1, time / 0.3) * exact.sin(2 * np.pi * phase)
    return np.asarray(voice.scoop * exact.exp(-time / 0.05) + vibrato + 5 * rng.normal())


def _wavetable(hz: float, voice: Voice, loudness: float) -> Floats:
    """One period (_TABLE,) with RMS 1, without aliasing."""
    number = np.arange(1, min(int(0.45 * RATE / hz), 60) + 1)
    slope = -(voice.slope - voice.bright * loudness) / 6.02
    level = exact.power(number, slope) * np.where(number % 2, 1, voice.even)
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    # Partials with different phases keep the peaks of the waveform low.
    spectrum.real[number] = level * exact.sin(number**2)
    spectrum.imag[number] = -level * exact.cos(number**2)
    wave = fft.irfft(spectrum)
    return np.asarray(wave / np.sqrt(np.mean(wave**2)))


def _hann(size: int) -> Floats:
    """A Hann window (size,)."""
    return np.asarray(0.5 - 0.5 * exact.cos(2 * np.pi * np.arange(size) / max(size - 1, 1)))


def _resonate(sound: Floats, voice: Voice) -> Floats:
    """Applies the resonances of the instrument's body: a gain that depends on frequency."""
    size = fft.next_fast_len(len(sound), real=True)
    octaves = exact.log2(np.maximum(fft.rfftfreq(size, 1 / RATE), 20.0))
    gain_db = np.zeros_like(octaves)
    for hz, width, peak_db in voice.formants:
        distance = (octaves - exact.log2(hz)) / width
        gain_db = gain_db + peak_db * exact.exp(-(distance**2))
    spectrum = fft.rfft(sound, size) * exact.power(10.0, gain_db / 20)
    return np.asarray(fft.irfft(spectrum, size)[: len(sound)])
