"""The synthetic data set: reproducible, complete, in synchrony, with correct boxes."""

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from avrobust.data.layout import FRAME_RATE
from avrobust.errors import UserError
from avrobust.synthetic.dataset import synthetic
from avrobust.synthetic.difficulty import DIFFICULTY, Difficulty
from avrobust.synthetic.film import FilmFrame, draw_film
from avrobust.synthetic.generate import CLIPS, FPS, generate, generate_film
from avrobust.synthetic.mp4 import read_description
from avrobust.synthetic.plan import CLASSES, ClipSpec, plan
from avrobust.synthetic.recording import melody, render_recording
from avrobust.synthetic.score import MusicalNote, perform
from avrobust.synthetic.settings import Settings
from avrobust.synthetic.tones import RATE

SECONDS, SIZE = 2.0, 64


class Decoded(NamedTuple):
    frames: np.ndarray  # (T, H, W, 3) uint8
    sound: np.ndarray  # (S,) in [-1, 1]


def decode(path: Path) -> Decoded:
    with av.open(str(path)) as pictures, av.open(str(path)) as tones:
        frames = [frame.to_ndarray(format="rgb24") for frame in pictures.decode(video=0)]
        sound = np.concatenate([block.to_ndarray()[0] for block in tones.decode(audio=0)])
        assert sound.dtype == np.int16
        return Decoded(np.stack(frames), sound / 32_767)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def films(videos: Path) -> list[Path]:
    return sorted(path.relative_to(videos) for path in videos.rglob("*.mp4"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip of each class and split; the first two classes have two to train on."""
    videos = tmp_path_factory.mktemp("videos")
    generate(
        videos, clips={"train": 13, "val": 11, "test": 11}, seconds=SECONDS, size=SIZE, workers=2
    )
    return videos


def test_the_plan_has_the_sizes_of_music_spread_evenly() -> None:
    specs = plan(CLIPS)
    assert Counter(spec.split for spec in specs) == {"train": 312, "val": 104, "test": 104}
    for split in ("train", "val", "test"):
        counts = Counter(spec.label for spec in specs if spec.split == split)
        assert set(counts) == set(CLASSES)
        assert max(counts.values()) - min(counts.values()) <= 1
    assert len({spec.path for spec in specs}) == 520
    assert set(plan({"train": 20, "test": 3})) <= set(
        specs
    )  # a smaller plan is part of a larger one


@pytest.mark.parametrize("clips", [{"trian": 3}, {"train": -1}])
def test_a_wrong_plan_is_refused(clips: dict[str, int]) -> None:
    with pytest.raises(UserError, match="clips"):
        plan(clips)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seconds": 0.2}, {"size": 63}])
def test_wrong_numbers_are_refused_before_any_work(tmp_path: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="generate"):
        generate(tmp_path / "videos", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "videos").exists()


def test_every_clip_is_listed_with_label_and_split(made: Path) -> None:
    listed = rows(made / "labels.csv")
    assert Counter(row["split"] for row in listed) == {"train": 13, "val": 11, "test": 11}
    assert sorted(Path(row["path"]) for row in listed) == films(made)
    assert all(Path(row["path"]).parts[0] == row["label"] for row in listed)


def test_films_are_mp4_with_one_h264_and_one_flac_stream_of_the_same_length(made: Path) -> None:
    for path in films(made)[:6]:
        with av.open(str(made / path)) as container:
            assert "mp4" in container.format.name
            assert [stream.codec.name for stream in container.streams] == ["h264", "flac"]
            video, audio = container.streams
            assert float(video.duration * video.time_base) == pytest.approx(SECONDS)
            assert float(audio.duration * audio.time_base) == pytest.approx(SECONDS, abs=1e-3)
        decoded = decode(made / path)
        assert decoded.frames.shape == (SECONDS * FPS, SIZE, SIZE, 3)
        assert len(decoded.sound) == SECONDS * RATE


def test_sound_is_not_late_and_nothing_is_lost(tmp_path: Path) -> None:
    spec = ClipSpec("train", "xylophone", 0)
    generate_film(tmp_path, Settings(0, SECONDS, SIZE), spec)
    notes = melody(spec.label, spec.rng(0, "score"), SECONDS)
    played = render_recording(spec.label, notes, spec.rng(0, "sound"), SECONDS, DIFFICULTY)
    heard = decode(tmp_path / spec.path).sound[: len(played)]
    size = 2 * len(played)
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size)), size)
    assert np.argmax(match) == 0
    assert np.corrcoef(heard, played)[0, 1] > 0.9
    assert np.abs(heard - played).max() <= 0.5001 / 32_767  # lossless but for the 16 bits


def test_no_clip_is_silent_or_still(made: Path) -> None:
    for path in films(made):
        decoded = decode(made / path)
        assert decoded.sound.std() > 0.005, path
        assert np.abs(decoded.sound).max() <= 1, path
        assert decoded.frames.std(axis=(1, 2, 3)).min() > 5, path
        assert np.abs(np.diff(decoded.frames.astype(int), axis=0)).mean() > 0.5, path


def test_same_seed_same_clips_and_a_subset_is_a_part(made: Path, tmp_path: Path) -> None:
    generate(tmp_path, clips={"train": 1, "test": 2}, seconds=SECONDS, size=SIZE, workers=1)
    assert len(films(tmp_path)) == 3
    for path in films(tmp_path):
        ours, theirs = decode(tmp_path / path), decode(made / path)
        np.testing.assert_array_equal(ours.frames, theirs.frames)
        np.testing.assert_array_equal(ours.sound, theirs.sound)
    assert all(
        row in rows(made / "boxes.csv") for row in rows(tmp_path / "boxes.csv")[::FRAME_RATE]
    )


def test_on_the_stage_instruments_are_smaller_and_films_say_so(made: Path, tmp_path: Path) -> None:
    generate(tmp_path, clips={"train": 4}, seconds=1, size=SIZE, scene="stage", workers=1)

    def area(boxes: list[dict[str, str]]) -> float:
        return float(
            np.mean(
                [
                    (float(b["x1"]) - float(b["x0"])) * (float(b["y1"]) - float(b["y0"]))
                    for b in boxes
                ]
            )
        )

    far = rows(tmp_path / "boxes.csv")
    near = [row for row in rows(made / "boxes.csv") if row["path"] in {row["path"] for row in far}]
    assert area(far) < 0.6 * area(near)
    assert "scale=(0.35, 0.55)" in read_description(tmp_path / far[0]["path"])["settings"]


def test_another_seed_makes_other_clips_in_place_of_the_old_ones(tmp_path: Path) -> None:
    generate(tmp_path, clips={"train": 1}, seconds=SECONDS, size=SIZE)
    path = tmp_path / films(tmp_path)[0]
    before = decode(path)
    generate(tmp_path, clips={"train": 1}, seconds=SECONDS, size=SIZE, seed=1)
    after = decode(path)
    assert not np.array_equal(before.frames, after.frames)
    assert not np.array_equal(before.sound, after.sound)


def test_every_clip_and_purpose_has_randomness_of_its_own() -> None:
    draws = {
        spec.rng(0, purpose).random() for spec in plan(CLIPS) for purpose in ("sound", "picture")
    }
    assert len(draws) == 2 * 520


def test_boxes_lie_in_the_frame_one_for_each_prepared_frame(made: Path) -> None:
    boxes = rows(made / "boxes.csv")
    numbers = Counter(row["path"] for row in boxes)
    assert set(numbers) == {row["path"] for row in rows(made / "labels.csv")}
    assert set(numbers.values()) == {SECONDS * FRAME_RATE}
    for row in boxes:
        x0, y0, x1, y1 = (float(row[edge]) for edge in ("x0", "y0", "x1", "y1"))
        assert 0 <= x0 < x1 <= 1, row
        assert 0 <= y0 < y1 <= 1, row
        assert (x1 - x0) * (y1 - y0) > 0.03, row


STILL = replace(
    DIFFICULTY, shake=0.0, noise=(0.0, 0.0), occluder_chance=0.0
)  # a tripod, a camera without noise
CLOSE = replace(
    DIFFICULTY, snr_db=(30.0, 30.0), distractor_chance=0.0
)  # a close microphone, nobody else


def draw(
    spec: ClipSpec, notes: list[MusicalNote], seconds: float, difficulty: Difficulty
) -> list[FilmFrame]:
    times = np.arange(round(seconds * FPS)) / FPS
    return list(
        draw_film(spec.label, perform(notes, times), spec.rng(0, "picture"), SIZE, difficulty)
    )


def changes(pictures: list[FilmFrame]) -> list[np.ndarray]:
    """How much each pixel changes from one frame to the next: T - 1 arrays (H, W)."""
    return [np.abs(b.pixels.astype(int) - a.pixels).sum(axis=2) for a, b in pairwise(pictures)]


def rms_by_frame(sound: np.ndarray, count: int) -> list[float]:
    return [float(sound[i * RATE // FPS : (i + 1) * RATE // FPS].std()) for i in range(count)]


@pytest.mark.parametrize("label", CLASSES)
def test_nothing_moves_outside_the_boxes(label: str) -> None:
    spec = ClipSpec("train", label, 0)
    pictures = draw(spec, melody(label, spec.rng(0, "score"), 3.0), 3.0, STILL)
    for (one, two), change in zip(pairwise(pictures), changes(pictures), strict=True):
        x0, y0 = (max(int(SIZE * min(one.box[i], two.box[i])) - 1, 0) for i in (0, 1))
        x1, y1 = (int(SIZE * max(one.box[i], two.box[i])) + 2 for i in (2, 3))
        inside = change[y0:y1, x0:x1]
        assert inside.sum() > 0
        change[y0:y1, x0:x1] = 0
        assert change.max() <= 60  # a faint rim of the antialiased edge


@pytest.mark.parametrize("label", CLASSES)
def test_picture_moves_with_its_own_sound_and_not_with_anothers(label: str) -> None:
    own, other = [], []
    for number in range(3):
        spec = ClipSpec("train", label, number)
        scores = [melody(label, spec.rng(seed, "score"), 6.0) for seed in (0, 1)]
        motion = [
            float(change.mean()) for change in changes(draw(spec, scores[0], 6.0, DIFFICULTY))
        ]
        for notes, correlations in zip(scores, (own, other), strict=True):
            sound = render_recording(label, notes, spec.rng(0, "sound"), 6.0, CLOSE)
            correlations.append(np.corrcoef(motion, rms_by_frame(sound, len(motion)))[0, 1])
    assert np.mean(own) > 0.2, own
    assert np.mean(own) > np.mean(other) + 0.1, (own, other)


@pytest.mark.parametrize("label", CLASSES)
def test_sound_follows_the_score(label: str) -> None:
    """For every instrument, the recording is louder during notes than in the silence after them."""
    spec = ClipSpec("train", label, 0)
    clean = replace(CLOSE, wet=(0.0, 0.0))
    notes = [MusicalNote(0.2, 0.5, 60, 1.0), MusicalNote(1.2, 0.5, 64, 1.0)]
    sound = render_recording(label, notes, spec.rng(0, "sound"), 3.0, clean)
    playing = sound[int(0.25 * RATE) : int(0.6 * RATE)].std()
    assert playing > 4 * sound[int(2.5 * RATE) :].std()


def test_a_killed_run_leaves_no_half_clip_and_goes_on(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from avrobust.synthetic.generate import generate; "
        f"generate(Path({str(tmp_path)!r}), clips={{'train': 400}}, seconds={SECONDS}, "
        f"size={SIZE}, workers=1)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 60
        while len(films(tmp_path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    finished = films(tmp_path)
    assert 2 <= len(finished) < 400
    for path in finished:
        assert len(decode(tmp_path / path).frames) == SECONDS * FPS
    assert not (tmp_path / "labels.csv").exists()
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in finished}
    generate(tmp_path, clips={"train": len(finished) + 1}, seconds=SECONDS, size=SIZE, workers=1)
    assert before == {path: (tmp_path / path).stat().st_mtime_ns for path in finished}
    assert len(rows(tmp_path / "labels.csv")) == len(finished) + 1
    assert not list(tmp_path.rglob("*.part"))


def test_the_settings_of_a_data_set_are_stored_as_plain_values(tmp_path: Path) -> None:
    sizes = {"train": 2, "val": 1, "test": 1}
    synthetic(str(tmp_path), **sizes)
    stored = json.loads((tmp_path / "synthetic.json").read_text())
    assert stored["clips"] == sizes
    assert stored["films"]["seed"] == 0
    assert stored["films"]["difficulty"]["snr_db"] == list(DIFFICULTY.snr_db)
    assert "Settings" not in str(stored)
    assert synthetic(str(tmp_path), **sizes).classes == ["acoustic_guitar", "flute"]
    for changed in ({"generation_seed": 1}, {"scene": "stage"}, {"train": 3}):
        with pytest.raises(UserError, match="was generated with other settings"):
            synthetic(str(tmp_path), **{**sizes, **changed})


def test_a_damaged_film_is_made_anew(tmp_path: Path) -> None:
    generate(tmp_path, clips={"train": 1}, seconds=SECONDS, size=SIZE)
    path = tmp_path / films(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:1000])
    generate(tmp_path, clips={"train": 1}, seconds=SECONDS, size=SIZE)
    assert decode(path).frames.shape == (SECONDS * FPS, SIZE, SIZE, 3)


def test_the_global_random_state_is_left_alone() -> None:
    np.random.seed(3)  # noqa: NPY002 - the state that must not move
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw(ClipSpec("train", "cello", 0), [MusicalNote(0.2, 0.5, 50, 1.0)], 1.0, DIFFICULTY)
    assert (before == np.random.get_state()[1]).all()  # noqa: NPY002
