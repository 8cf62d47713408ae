from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from avrobust.data.clips import Clips, read_frame, read_window
from avrobust.data.layout import Entry, Format
from avrobust.data.sampling import draw_augmentation, middle_frame, neighbors, window_start
from avrobust.types import Sample
from avrobust.utils.randomness import generator

PAPER = 65_535


def test_frames_are_drawn_at_least_three_seconds_from_both_ends() -> None:
    drawn = {draw_augmentation(100, PAPER, generator(0, i)).frame for i in range(2000)}
    assert drawn == set(range(25, 77))  # 24 frames on either side of 1..100 are left out


def test_a_short_clip_is_drawn_from_whole() -> None:
    assert {draw_augmentation(16, PAPER, generator(0, i)).frame for i in range(500)} == set(
        range(1, 17)
    )


def test_augmentation_is_as_the_paper_has_it() -> None:
    drawn = [draw_augmentation(100, PAPER, generator(0, i)) for i in range(2000)]
    volumes = torch.tensor([d.volume for d in drawn])
    assert 0.5 <= volumes.min() < 0.51
    assert 1.49 < volumes.max() <= 1.5
    assert sum(d.flip for d in drawn) / 2000 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("frames", "expected"), [(82, 41), (1, 1), (2, 1), (3, 1)])
def test_the_middle_frame(frames: int, expected: int) -> None:
    assert middle_frame(frames) == expected


def test_the_window_is_centerd_on_the_frame() -> None:
    start = window_start(41, PAPER, 110_250)
    assert start + PAPER // 2 == round((41 - 0.5) / 8 * 11_025)


def test_a_window_that_sticks_out_is_moved_inside() -> None:
    assert window_start(1, PAPER, 110_250) == 0
    assert window_start(80, PAPER, 110_250) == 110_250 - PAPER


def test_several_frames_stay_inside_the_clip() -> None:
    assert neighbors(20, 3, 8, 40) == [12, 20, 28]
    assert neighbors(2, 3, 8, 9) == [1, 2, 9]
    assert neighbors(5, 1, 8, 9) == [5]


def ramp(path: Path, samples: int) -> np.ndarray:
    values = np.arange(samples) % 30_000
    soundfile.write(path, values.astype(np.int16), 11_025, subtype="PCM_16")
    return (values / 32_768).astype(np.float32)


def test_the_window_is_read_from_the_file_as_it_is(tmp_path: Path) -> None:
    values = ramp(tmp_path / "a.wav", 40_000)
    start = window_start(15, 5000, 40_000)
    window = read_window(tmp_path / "a.wav", 15, 5000)
    np.testing.assert_array_equal(window[0], values[start : start + 5000])


def test_short_audio_is_tiled_round_the_frame(tmp_path: Path) -> None:
    values = ramp(tmp_path / "a.wav", 700)
    start = window_start(1, 5000, 700)
    window = read_window(tmp_path / "a.wav", 1, 5000)
    np.testing.assert_array_equal(window[0], values[(start + np.arange(5000)) % 700])


def test_stereo_is_averaged(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile([[0.5, 0.1]], (9000, 1)), 11_025, subtype="FLOAT")
    torch.testing.assert_close(read_window(tmp_path / "a.wav", 4, 100), torch.full((1, 100), 0.3))


def test_evaluation_crops_the_center(tmp_path: Path) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert float(read_frame(tmp_path / "a.png", 40, None).min()) == 1.0
    assert read_frame(tmp_path / "a.png", 16, None).shape == (3, 16, 16)


def clips(root: Path, *, seed: int = 0) -> Clips:
    entry = Entry("a", "x", 60)
    entry.audio_path(root).parent.mkdir(parents=True, exist_ok=True)
    entry.frames_path(root).mkdir(parents=True, exist_ok=True)
    ramp(entry.audio_path(root), 90_000)
    rng = np.random.default_rng(0)
    for number in range(1, 61):
        picture = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(entry.frame_path(root, number))
    return Clips(root, [entry], ["a", "b"], Format(24, 4000), training=True, seed=seed)


def sample(source: Clips, epoch: int) -> Sample:
    sample = source[epoch, 0]
    assert isinstance(sample, Sample)
    return sample


def test_augmentation_depends_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    source, again, other = clips(tmp_path), clips(tmp_path), clips(tmp_path, seed=1)
    first = sample(source, 3)
    torch.rand(7)  # draws from the global state change nothing
    assert torch.equal(first.clip.visual, sample(again, 3).clip.visual)
    assert torch.equal(first.clip.audio, sample(again, 3).clip.audio)
    assert not torch.equal(first.clip.visual, sample(source, 4).clip.visual)
    assert not torch.equal(first.clip.visual, sample(other, 3).clip.visual)


def test_samples_stay_in_range(tmp_path: Path) -> None:
    source = clips(tmp_path)
    for epoch in range(20):
        audio, visual = sample(source, epoch).clip
        assert -1 <= float(audio.min()) <= float(audio.max()) <= 1
        assert 0 <= float(visual.min()) <= float(visual.max()) <= 1
