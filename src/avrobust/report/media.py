"""Sound and pictures of one clip as small files for a browser, and measures of their change."""

import io
import math
from functools import cache

import numpy as np
import soundfile
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from avrobust.data.layout import SAMPLE_RATE
from avrobust.utils.arrays import Array
from avrobust.utils.data_uri import data_uri, image_uri

SMALL = 128  # pixels a side
COLUMNS = 120  # of a waveform's picture
WINDOW = 512  # samples of a spectrum
BANDS = 48  # of mel
DECIBELS = 30.0  # a change of the log-mel picture that is drawn in full color
UP, DOWN = (213, 94, 0), (0, 103, 165)  # more and less energy


def picture(frame: Array) -> str:
    """A frame (3, H, W) in [0, 1]: without loss if it is small, else nearly so."""
    return image_uri(_pixels(frame), "PNG" if frame.shape[-1] <= SMALL else "JPEG")


def magnified(change: Array, factor: float) -> str:
    """A change of a frame times a factor, round a middle gray."""
    return image_uri(_pixels(0.5 + factor * change), "PNG")


def sound(audio: Array) -> str:
    """A waveform (S,) in [-1, 1], without loss at 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, audio.clip(-1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", file.getvalue())


def wave_factor(clean: Array, change: Array) -> float:
    """What a change of a waveform is multiplied by to be seen beside the waveform.

    It is 1, 10, 100 and so on; 0 if there is no change.
    """
    most, peak = float(np.abs(change).max()), float(np.abs(clean).max())
    return (
        0.0 if most == 0 else max(1.0, 10.0 ** math.ceil(math.log10(max(0.05 * peak, 1e-9) / most)))
    )


def outline(audio: Array) -> str:
    """The envelope of a waveform as points of an SVG polygon, 240 wide and from -30 to 30 high."""
    starts = np.arange(COLUMNS) * len(audio) // COLUMNS
    high, low = (
        extreme.reduceat(audio.clip(-1, 1), starts) for extreme in (np.maximum, np.minimum)
    )
    x = [240 * i / (COLUMNS - 1) for i in range(COLUMNS)]
    upper = [f"{a:.0f},{-30 * value:.1f}" for a, value in zip(x, high, strict=True)]
    lower = [f"{a:.0f},{-30 * value:.1f}" for a, value in zip(x, low, strict=True)]
    return " ".join([*upper, *reversed(lower)])


def mel_change(before: Array, after: Array) -> str:
    """How `mel` changes, on a log scale: orange is more energy, blue less, clear the same."""
    floor = 1e-7 * max(before.max(), 1e-12)
    change = 10 * np.log10(np.maximum(after, floor) / np.maximum(before, floor)) / DECIBELS
    pixels = np.empty((*change.shape, 4), np.uint8)
    pixels[..., :3] = np.where(change[..., None] > 0, UP, DOWN)
    pixels[..., 3] = (np.abs(change).clip(0, 1) * 255).round()
    return image_uri(Image.fromarray(pixels[::-1]), "PNG")  # low tones at the bottom


def mel(audio: Array) -> Array:
    """The energy of a waveform by mel band and time, (BANDS, columns)."""
    padded = np.pad(audio, WINDOW // 2)
    hop = max(1, len(audio) // COLUMNS)
    windows = sliding_window_view(padded, WINDOW)[::hop] * np.hanning(WINDOW)
    return _filters() @ (np.abs(np.fft.rfft(windows, axis=1)) ** 2).T  # type: ignore[no-any-return]


@cache
def _filters() -> Array:
    """Triangular mel filters (BANDS, WINDOW // 2 + 1), evenly spaced on the HTK mel scale.

    Equal to `librosa.filters.mel(htk=True, norm=None)`, which takes 1.4 s to import and to compile.
    """
    nyquist = SAMPLE_RATE / 2
    edges = 700 * (
        10 ** (np.linspace(0, 2595 * math.log10(1 + nyquist / 700), BANDS + 2) / 2595) - 1
    )
    tones = np.linspace(0, nyquist, WINDOW // 2 + 1)
    rising = (tones - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - tones) / (edges[2:] - edges[1:-1])[:, None]
    return np.minimum(rising, falling).clip(0)


def snr(clean: Array, change: Array) -> float | None:
    """Signal to noise in dB; None if nothing changed."""
    noise = float(np.square(change).sum())
    signal = float(np.square(clean).sum())
    return 10 * math.log10(signal / noise) if noise and signal else None


def psnr(change: Array) -> float | None:
    """Peak signal to noise of a frame in [0, 1], in dB; None if nothing changed."""
    noise = float(np.square(change).mean())
    return -10 * math.log10(noise) if noise else None


def _pixels(frame: Array) -> Image.Image:
    return Image.fromarray((frame.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))
