"""The clips that a run keeps, and what the page makes of them."""

from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from avrobust.attacks.fgsm import FGSM
from avrobust.evaluation.evaluate import all_conditions, evaluate
from avrobust.experiments.kept_clips import magnification
from avrobust.experiments.result_files import folder_of
from avrobust.experiments.results import EvaluationResult
from avrobust.experiments.runs import Run
from avrobust.report import media
from avrobust.report.gallery import gallery
from avrobust.report.load import load
from avrobust.report.page import write_page
from avrobust.report.scores import Scores
from avrobust.report.tables import overview
from avrobust.tasks.examples import Examples, worst_examples
from avrobust.threats import suite
from avrobust.types import Batch, Clip, ConditionInfo, Record
from tests.results import put_clips
from tests.support import batch_of, model_for

KEYS = [f"clip/{i}" for i in range(8)]
CONDITIONS = all_conditions(FGSM(), suite(0.05))
AUDIO = ConditionInfo("audio", "xA", ("audio",), adversarial=True)


def kept(count: int = 3, batches: Sequence[Batch] = (), *, eps: float = 0.05) -> Examples:
    examples = Examples(KEYS, count)
    evaluate(model_for(), batches or [batch_of(8)], FGSM(), suite(eps), observe=examples.keep)
    return examples


def written(folder: Path, examples: Examples) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    examples.write(Run("attack", folder.name, folder), CONDITIONS)
    with np.load(folder / "examples.npz") as file:
        return {name: file[name] for name in file.files}


def test_every_run_keeps_the_same_clips(tmp_path: Path) -> None:
    batch = batch_of(8)
    halves = [
        Batch(Clip(*(x[half] for x in batch.clip)), batch.label[half], batch.key[half])
        for half in (slice(4, 8), slice(0, 4))
    ]
    once, again = kept(), kept(batches=halves)
    assert once.keys == again.keys == Examples(reversed(KEYS), 3).keys
    assert len(once.clips) == 3 * 4


def test_what_is_kept_is_what_the_model_saw(tmp_path: Path) -> None:
    examples = kept()
    arrays = written(tmp_path / "run", examples)
    key = str(arrays["keys"][0])
    audio, frame = examples.clips[key, "clean"]
    heard, seen = examples.clips[key, "audiovisual"]
    place = (list(arrays["conditions"]).index("audiovisual"), 0)
    assert np.abs(arrays["audio"][0] / 32767 - audio).max() < 1e-4
    assert np.abs(arrays["frames"][0] / 255 - frame).max() < 0.002
    assert (
        np.abs(arrays["audio_change"][place] * arrays["audio_scale"][place] - (heard - audio)).max()
        < 0.001
    )
    assert (
        np.abs(
            arrays["visual_change"][place] * arrays["visual_scale"][place] - (seen - frame)
        ).max()
        < 0.001
    )


def test_a_change_far_below_one_level_of_a_picture_is_kept(tmp_path: Path) -> None:
    arrays = written(tmp_path / "run", kept(eps=0.0001))
    place = (list(arrays["conditions"]).index("visual"), 0)
    assert np.abs(arrays["visual_change"][place]).max() == 127
    assert arrays["visual_scale"][place] * 127 == pytest.approx(0.0001 * 0.229, rel=0.01)


def test_none_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    kept(0).write(Run("attack", "x", tmp_path), CONDITIONS)
    assert not list(tmp_path.iterdir())


def test_of_several_objectives_the_clip_of_the_worst_is_kept() -> None:
    first, second = Examples(KEYS, 8), Examples(KEYS, 8)
    for examples, value in ((first, 0.1), (second, 0.2)):
        clip = batch_of(1).clip._replace(audio=torch.full((1, 1, 8), value))
        examples.keep(Batch(clip, torch.zeros(1), ("clip/0",)), AUDIO, clip)
    weak = Record("clip/0", "audio", 0, 0, True, 0.9, 0.1, 0.0, 0.0)
    strong = weak._replace(correct=False, loss=3.0)
    chosen = worst_examples([first, second], [[weak], [strong]], [strong])
    assert chosen.clips["clip/0", "audio"][0][0] == np.float32(0.2)


def shown(runs: Path, label: str = "bell") -> EvaluationResult:
    """The result of a finished run with examples whose clips are named as in its examples.csv."""
    recognized = (range(90), range(1, 50), range(40), range(10))
    result = put_clips(runs, recognized, "attack=fgsm", label=label)
    batch = batch_of(2)._replace(key=(f"{label}/0", f"{label}/1"))
    examples = Examples(batch.key, 2)
    evaluate(model_for(), [batch], FGSM(), suite(0.05), observe=examples.keep)
    folder = folder_of(runs, "attack", result.run_id)
    examples.write(Run("attack", result.run_id, folder), CONDITIONS)
    return result


def test_a_card_tells_what_became_of_a_clip(tmp_path: Path) -> None:
    shown(tmp_path)
    found = gallery(load(tmp_path).entries, 10**7)
    (card,) = (
        card for card in found.cards if (card.key, card.condition) == ("bell/0", "audio attacked")
    )
    assert (card.before, card.after, card.outcome) == ("bell", "drum", "fooled")
    assert len(card.frames) == 1
    assert len(card.sounds) == 2
    assert card.psnr is None
    assert card.snr == pytest.approx(21.2, abs=0.5)  # uniform in [-1, 1] against 0.05
    assert all(name in found.media for name in (*card.frames, *card.sounds, card.mel))


def test_the_same_clean_clip_is_on_the_page_once(tmp_path: Path) -> None:
    shown(tmp_path)
    found = gallery(load(tmp_path).entries, 10**7)
    assert len({card.frames[0] for card in found.cards}) == 2


def test_what_does_not_fit_is_left_out_and_counted(tmp_path: Path) -> None:
    shown(tmp_path)
    found = gallery(load(tmp_path).entries, 10_000)
    assert (found.shown, found.total, found.cards) == (0, 2, [])


def test_the_clips_get_what_the_rest_of_the_page_leaves(tmp_path: Path) -> None:
    shown(tmp_path)
    runs = load(tmp_path)

    def cards(size: int) -> int:
        write_page(tmp_path / "index.html", runs, [overview(runs, Scores())], size)
        assert (tmp_path / "index.html").stat().st_size < size
        return (tmp_path / "index.html").read_text(encoding="utf-8").count('<article class="card"')

    assert (cards(10**6), cards(90_000)) == (6, 0)


def test_measures() -> None:
    clean = np.sin(np.arange(1000))
    assert media.snr(clean, clean / 10) == pytest.approx(20)
    assert media.psnr(np.full((3, 4, 4), 0.01)) == pytest.approx(40)
    assert media.snr(clean, 0 * clean) is media.psnr(np.zeros((3, 4, 4))) is None


def test_a_magnified_change_reaches_full_range_and_no_further() -> None:
    change = np.array([0.0013, -0.0007])
    assert magnification(change, 0.5) == pytest.approx(380)
    assert magnification(0 * change, 0.5) == 0
    assert media.wave_factor(np.array([1.0]), np.array([0.006])) == 10
    assert media.wave_factor(np.array([0.1]), np.array([0.006])) == 1


def test_mel_bands_find_a_tone() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(11_025) / 11_025)
    energy = media.mel(tone).mean(1)
    edges = 700 * (
        10 ** (np.linspace(0, 2595 * np.log10(1 + 11_025 / 1400), media.BANDS + 2) / 2595) - 1
    )
    assert edges[energy.argmax()] < 1000 < edges[energy.argmax() + 2]


def test_mel_filters_are_those_of_librosa() -> None:
    expected = librosa.filters.mel(
        sr=11_025, n_fft=media.WINDOW, n_mels=media.BANDS, htk=True, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(media._filters(), expected, atol=1e-12)
