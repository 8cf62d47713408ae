from pathlib import Path

import numpy as np
import pytest

from avrobust.preparation.sound import read_audio
from avrobust.preparation.timeline import scan
from tests.data.videos import sine, steady, write_video

RATE = 11_025


def sound(path: Path) -> np.ndarray:
    return read_audio(path, scan(path)).waveform


def notes(path: Path) -> str:
    timeline = scan(path)
    return "; ".join(timeline.notes + read_audio(path, timeline).notes)


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    tone = 1.6 * sine(1.0)
    stereo = write_video(
        tmp_path / "a.mkv", sound=np.concatenate([tone, 0 * tone]), sound_codec="pcm_s16le"
    )
    assert np.abs(sound(stereo)[2000:-2000]).max() == pytest.approx(0.4, abs=0.01)
    opposite = write_video(
        tmp_path / "b.mkv", sound=np.concatenate([tone, -tone]), sound_codec="pcm_s16le"
    )
    assert np.abs(sound(opposite)).max() < 0.001
    surround = write_video(tmp_path / "c.mkv", sound=np.tile(tone, (6, 1)), sound_codec="pcm_s16le")
    assert np.abs(sound(surround)[2000:-2000]).max() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "rate"),
    [("pcm_u8", 8_000), ("pcm_s24le", 96_000), ("pcm_f32le", 11_025), ("aac", 22_050)],
)
def test_pitch_and_loudness_survive_resampling(tmp_path: Path, codec: str, rate: int) -> None:
    path = write_video(tmp_path / "clip.mkv", sound=sine(1.0, rate), rate=rate, sound_codec=codec)
    waveform = sound(path)
    assert len(waveform) == RATE
    assert np.abs(np.fft.rfft(waveform)).argmax() == 440
    assert np.sqrt(np.mean(waveform**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize(
    ("length", "start", "note", "loud"),
    [
        (0.5, 0.0, "ends early: 1.4", (0.0, 0.5)),
        (1.0, 1.0, "starts late: ", (1.0, 2.0)),
        (3.0, 0.0, "", (0.0, 2.0)),
    ],
)
def test_missing_sound_is_silence_and_said(tmp_path: Path, length, start, note, loud) -> None:
    path = write_video(
        tmp_path / "clip.mp4", times=steady(2, 8), sound=sine(length), sound_start=start
    )
    waveform = sound(path)
    assert len(waveform) == 2 * RATE
    heard = np.flatnonzero(np.abs(waveform) > 0.1) / RATE
    assert (heard[0], heard[-1]) == (
        pytest.approx(loud[0], abs=0.07),
        pytest.approx(loud[1], abs=0.07),
    )
    assert (note in notes(path)) if note else not notes(path)


def test_digital_silence_is_said(tmp_path: Path) -> None:
    assert "silence" in notes(write_video(tmp_path / "clip.mp4", sound=np.zeros((1, 16_000))))
