"""Where a model looks: attention, metrics on maps made by hand, boxes, from a run to the page."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from sklearn.metrics import auc

from avrobust.analyses.base import Analyzed
from avrobust.analyses.localization.analysis import ANALYSIS
from avrobust.analyses.localization.compute import (
    area_under_curve,
    guess,
    overlap,
    peaks,
    pointed,
    respond,
    scaled,
)
from avrobust.analyses.localization.outcome import (
    BASELINE_WORDS,
    LocalizeOutcome,
    ShownPrediction,
)
from avrobust.analyses.localization.section import eps_chart
from avrobust.analyses.outcomes import read_outcome, write_outcome
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.pgd import PGD
from avrobust.cli.main import main
from avrobust.data.boxes import Box, in_sample, sample_boxes
from avrobust.data.clips import collate, read_frame
from avrobust.data.layout import Entry, Format
from avrobust.data.mosaic import Mosaics, corner, in_mosaic
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.experiments.result_files import read_result, write_result
from avrobust.experiments.results import EvaluationResult
from avrobust.models.classifier import AVClassifier
from avrobust.models.encoders.resnet import ResNet
from avrobust.models.folding import folded
from avrobust.models.fusion.attention import Attention
from avrobust.report.environment import render
from avrobust.report.row import title
from avrobust.tasks import attack as attack_task
from avrobust.threats import suite
from avrobust.types import Clip, Features
from tests.support import (
    AVROBUST,
    attack,
    batch_of,
    built,
    clip_of,
    experiment_for,
    model_for,
    run_script,
    write_prepared,
)
from tests.test_page import page


@pytest.fixture(scope="module")
def model() -> AVClassifier:
    return model_for("fusion=attention")


def features(seed: int = 0) -> Features:
    rng = torch.Generator().manual_seed(seed)
    return Features(torch.randn(3, 8, generator=rng), torch.randn(3, 2, 16, 4, 5, generator=rng))


def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(8, 16)


def test_attention_of_each_frame_adds_up_to_one() -> None:
    weights = attention().weights(features())
    assert weights.shape == (3, 2, 4, 5)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(3, 2))


def test_the_sound_guides_the_attention_and_gradients_reach_both() -> None:
    x = Features(*(part.requires_grad_() for part in features()))
    weights = attention().response(x)
    for gradient in torch.autograd.grad(weights[..., 1, 2].sum(), x):
        assert (gradient.flatten(1).abs().amax(1) > 0).all()
    other = attention().response(Features(features(1).audio, x.visual))
    assert (weights - other).abs().max() > 1e-4


def test_attention_by_hand() -> None:
    x, fusion = features(), attention()
    sound, weight, bias = fusion.sound(x.audio), fusion.place.weight, fusion.place.bias
    places = {
        (i, j): x.visual[..., i, j] @ weight.T + bias for i in range(4) for j in range(5)
    }  # (B, T, hidden)
    alike = {
        p: (v * sound[:, None]).sum(2) / (v.norm(dim=2) * sound.norm(dim=1)[:, None])
        for p, v in places.items()
    }
    total = sum((fusion.scale * c).exp() for c in alike.values())
    weights = {p: (fusion.scale * c).exp() / total for p, c in alike.items()}
    torch.testing.assert_close(fusion.response(x)[..., 2, 3], alike[2, 3])
    torch.testing.assert_close(fusion.weights(x)[..., 2, 3], weights[2, 3])
    seen = sum((weights[p].unsqueeze(2) * v).mean(1) for p, v in places.items())
    torch.testing.assert_close(fusion(x), sound + seen)


@pytest.mark.parametrize(("stride", "places"), [(8, 8), (16, 4), (32, 2)])
def test_a_finer_map_takes_the_same_weights(stride: int, places: int) -> None:
    net, plain = ResNet((1, 1, 1, 1), stride=stride), ResNet((1, 1, 1, 1))  # type: ignore[arg-type]
    net.load_state_dict(plain.state_dict())
    assert net.eval().map(torch.rand(1, 2, 3, 64, 64)).shape == (1, 2, 512, places, places)


def test_the_embedding_is_the_mean_of_the_map(model: AVClassifier) -> None:
    clip = clip_of(3, frames=2)
    assert model.visual is not None
    with torch.no_grad():
        encoded = model.encode(clip)
        assert encoded.visual.shape == (3, 2, 16, 2, 2)
        torch.testing.assert_close(encoded.pooled().visual, model.visual(clip.visual))


def test_the_records_are_those_of_a_bare_callable_and_folding_moves_no_map(
    model: AVClassifier,
) -> None:
    def bare(clip: Clip) -> torch.Tensor:
        return model(clip)  # type: ignore[no-any-return]

    batch = batch_of(4)
    for attack_ in (FGSM(), PGD(3, 0.5)):
        ours, theirs = (evaluate(m, [batch], attack_, suite(0.01)) for m in (model, bare))
        for a, b in zip(ours, theirs, strict=True):
            assert a.loss == pytest.approx(b.loss, rel=1e-3, abs=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(
            folded(model).response(batch.clip), model.response(batch.clip), rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize("defense", ["minsim", "pcl", "adversarial_fast"])
def test_defenses_that_compare_embeddings_take_the_mean_of_the_map(defense: str) -> None:
    trained, batch = model_for("fusion=attention", f"defense={defense}").train(), batch_of(4)
    generators = [torch.Generator().manual_seed(i) for i in range(4)]
    built("defense", defense).train(trained, batch.clip, batch.label, generators).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained.parameters())


def test_a_memory_of_embeddings_is_refused() -> None:
    with pytest.raises(
        UserError, match="restores one embedding a clip, but fusion Attention looks at a map"
    ) as error:
        model_for("fusion=attention", "defense=exfmem")
    assert "\n" not in str(error.value)


def test_maps_are_those_of_the_attacked_clips(model: AVClassifier) -> None:
    batch, threats = batch_of(4), scaled(suite(0.04), 0.5)
    assert threats["visual"].visual is not None
    assert threats["visual"].visual.eps == pytest.approx(0.02)
    assert threats["visual"].audio is None
    found = respond(model, [batch], FGSM(), threats)
    with torch.no_grad():
        torch.testing.assert_close(found["clean"].maps, model.response(batch.clip)[:, 0])
        adversarial = FGSM()(model, batch.clip, batch.label, threats["audiovisual"])
        torch.testing.assert_close(
            found["audiovisual"].maps, model.response(adversarial)[:, 0], rtol=1e-3, atol=1e-5
        )
    assert [r.key for r in found["visual"].records] == list(batch.key)


def test_the_peak_is_the_middle_of_its_place() -> None:
    maps = torch.zeros(2, 2, 4)
    maps[:, 1, 2] = 1.0  # its middle is at (0.625, 0.75)
    boxes = torch.tensor([[0.6, 0.7, 0.7, 0.8], [0.0, 0.0, 0.6, 1.0]])
    assert pointed(maps, boxes).tolist() == [True, False]
    assert peaks(maps).tolist() == [6, 6]


def test_overlap_against_a_count_of_pixels() -> None:
    rng = np.random.default_rng(0)
    maps, side = rng.random((12, 3, 4), dtype=np.float32), 30
    corners = np.sort(rng.random((12, 2, 2)), axis=1)  # (N, low and high, x and y)
    found = overlap(
        torch.tensor(maps), torch.tensor(corners.reshape(12, 4), dtype=torch.float32), side
    )
    for response, ((x0, y0), (x1, y1)), value in zip(maps, corners, found.tolist(), strict=True):
        large = np.asarray(
            Image.fromarray(response, "F").resize((side, side), Image.Resampling.BILINEAR)
        )
        source = {p for p in np.ndindex(side, side) if large[p] > (large.min() + large.max()) / 2}
        true = {
            (i, j)
            for i, j in np.ndindex(side, side)
            if x0 <= (j + 0.5) / side <= x1 and y0 <= (i + 0.5) / side <= y1
        }
        assert value == pytest.approx(
            len(source & true) / len(source | true), abs=0.02
        )  # pixels at the very edge


def test_overlap_of_guesses_is_that_of_their_squares() -> None:
    boxes = torch.tensor([[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.5, 1.0]])
    keys = ("a", "b")
    assert overlap(guess("center", keys, (2, 2), 64), boxes, 64).tolist() == pytest.approx(
        [1, 1 / 5], abs=0.02
    )
    assert overlap(guess("whole", keys, (2, 2), 64), boxes, 64).tolist() == pytest.approx(
        [1 / 4, 1 / 2]
    )
    drawn = guess("random", keys, (2, 2), 64)
    assert torch.equal(drawn[1:], guess("random", keys[1:], (2, 2), 64))


def test_area_under_the_curve_against_sklearn() -> None:
    values = np.random.default_rng(1).random(50)
    thresholds = np.arange(21) * 0.05
    expected = auc(thresholds, [(values >= t - 1e-9).mean() for t in thresholds])
    assert area_under_curve(torch.tensor(values)) == pytest.approx(expected, abs=1e-6)
    assert area_under_curve(torch.ones(3)) == pytest.approx(1.0)


@pytest.mark.parametrize("size", [(64, 40), (40, 64), (48, 48)])
def test_a_box_follows_the_crop_of_its_sample(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    corners = (18, 12, 33, 31)  # in pixels of the frame, the last ones outside
    picture = Image.new("RGB", size)
    ImageDraw.Draw(picture).rectangle((18, 12, 32, 30), fill="white")
    picture.save(tmp_path / "frame.png")
    bright = (read_frame(tmp_path / "frame.png", 80, None).mean(0) > 0.5).numpy()
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    box = in_sample(
        Box(*(c / s for c, s in zip(corners, (width, height) * 2, strict=True))), size, 80
    )
    assert box is not None
    seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert [80 * edge for edge in box] == pytest.approx(seen, abs=1)


def test_a_box_that_is_cropped_away_is_none() -> None:
    assert in_sample(Box(0.0, 0.0, 0.1, 1.0), (100, 50), 40) is None
    assert in_sample(Box(0.0, 0.0, 0.5, 1.0), (100, 50), 40) == Box(0.0, 0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,frame,x0,y0,x1\n", "no column 'y1'"),
        ("path,frame,x0,y0,x1,y1\nbell/a.mp4,1,0.5,0,0.5,1\n", "line 2: not a box with"),
        ("path,frame,x0,y0,x1,y1\nbell/a.mp4,one,0,0,1,1\n", "line 2: not a box with"),
    ],
)
def test_boxes_that_make_no_sense_are_refused(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(UserError, match=expected):
        sample_boxes(tmp_path, [Entry("bell", "a", 2)], Format())


def test_a_mosaic_shows_the_own_picture_among_others_whatever_its_batch(prepared: Path) -> None:
    clips = Prepared(str(prepared), image_size=32, audio_samples=4096).clips("val")
    loaded = [
        collate([clips[0, i] for i in part]).batch for part in (range(9), range(4), range(4, 9))
    ]
    (whole,), parts = (list(Mosaics(b, clips, seed=3)) for b in (loaded[:1], loaded[1:]))
    assert torch.equal(whole.clip.visual, torch.cat([part.clip.visual for part in parts]))
    assert torch.equal(whole.clip.audio, loaded[0].clip.audio)
    assert {corner(key, 3) for key in whole.key} == {0, 1, 2, 3}
    for key, label, own, seen in zip(
        whole.key, whole.label, loaded[0].clip.visual, whole.clip.visual, strict=True
    ):
        box = in_mosaic(Box(0, 0, 1, 1), key, 3)
        x0, y0, x1, y1 = (int(64 * edge) for edge in box)
        assert torch.equal(seen[..., y0:y1, x0:x1], own)
        patches = (
            seen[0].unfold(1, 32, 32).unfold(2, 32, 32)[..., 16, 16]
        )  # (3, 2, 2): the middles of the patches
        assert (patches.argmax(0) == label).sum() == 1  # a patch is colored after its class


BOX = (15 / 52, 10 / 40, 40 / 52, 30 / 40)  # of the patch in each of `write_prepared`'s frames


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a localized attack on a data set with boxes."""
    place = tmp_path_factory.mktemp("sources")
    write_prepared(place / "clips", (("train", 12), ("val", 6), ("test", 6)))
    lines = [
        ",".join(map(str, (f"{c}/test {i}.mp4", 10, *BOX)))
        for i, c in enumerate(("bell", "drum", "horn") * 2)
    ]
    (place / "clips" / "boxes.csv").write_text(
        "\n".join(["path,frame,x0,y0,x1,y1", *lines[1:]])
    )  # the first has none
    _, *overrides = attack(
        place / "clips", place / "runs", "attack=fgsm", "fusion=attention", "training.epochs=1"
    )
    result = attack_task.main(experiment_for("attack", *overrides))
    folder = place / "runs" / "attack" / result.run_id
    done = run_script(AVROBUST, "localize", str(folder), "--levels", "2", "--examples", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| xAV +\| 0.006 ", done.stdout)
    assert "n = 6, 5 with boxes; maps of 2 x 2" in done.stdout
    return folder


def analyzed(folder: Path) -> Analyzed[LocalizeOutcome]:
    """What the analysis found about a run."""
    result = read_result(folder)
    assert isinstance(result, EvaluationResult)
    return Analyzed(result, title(result), folder, read_outcome(ANALYSIS, folder))


def test_a_run_gets_its_numbers_and_its_heat_maps(finished: Path) -> None:
    result, _, _, outcome = analyzed(finished)
    assert (outcome.n, outcome.boxes, outcome.shares) == (6, 5, (0.5, 1.0))
    assert outcome.clean.recognized == result.clean.accuracy
    assert outcome.clean.moved.percent == 0
    for condition in outcome.attacked:
        recognized = condition.scores[-1].recognized
        assert recognized.percent == result.accuracy[condition.condition]
    # The middles of 2 x 2 places are at quarters; the patch spans 0.22 to 0.85 and 0.25 to 0.75 of
    # the crop.
    assert outcome.clean.places is not None
    assert outcome.clean.places.pointing is not None
    assert outcome.clean.places.pointing.percent == 100
    pointing = {baseline.name: baseline.places.pointing for baseline in outcome.baselines}
    assert pointing["whole"] is None
    assert pointing["center"] is not None
    with np.load(finished / "localize.npz") as file:
        assert file["frames"].shape == (2, 4, 3, 32, 32)
        assert file["maps"].shape == (2, 4, 2, 2)
        assert file["boxes"][0] == pytest.approx([0.22, 0.25, 0.85, 0.75], abs=0.01)
    for name in ("localize-eps.png", "localize-eps.pdf", "localize-maps.png"):
        assert (finished / name).stat().st_size > 5_000


def test_the_page_shows_sound_sources_with_names_as_text(finished: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(finished.parents[1], runs)
    folder = runs / "attack" / finished.name
    outcome = read_outcome(ANALYSIS, folder)
    shown = outcome.shown[0]
    nasty = ShownPrediction("audio attacked", "<script>alert(1)</script>", 0.5)
    changed = replace(shown, predictions=(*shown.predictions[:-1], nasty))
    write_outcome(ANALYSIS, folder, replace(outcome, shown=(changed, *outcome.shown[1:])))
    text = page(runs)
    assert "<h2>Sound sources</h2>" in text
    assert text.count('alt="Heat map') == 2 * 4
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert f"guess: {BASELINE_WORDS['center']}" in text
    (folder / "localize.npz").write_bytes(b"damaged")
    assert 'alt="Heat map' not in page(runs)
    (folder / "localize.json").unlink()
    assert "Sound sources" not in page(runs)


def test_pages_without_room_leave_runs_out(finished: Path) -> None:
    assert ANALYSIS.section([analyzed(finished)], render, 1000) is None
    section = ANALYSIS.section([analyzed(finished)], render, 1_000_000)
    assert section is not None
    most = len(section.html.encode()) + 1000
    both = ANALYSIS.section([analyzed(finished), analyzed(finished)], render, most)
    assert both is not None
    assert "1 of 2 runs" in both.html


def test_without_boxes_there_are_pictures_and_what_moved(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / "attack" / finished.name
    shutil.copytree(finished.parents[1], tmp_path / "runs")
    boxes = finished.parents[2] / "clips" / "boxes.csv"
    text = boxes.read_text()
    boxes.unlink()
    command = ["localize", str(folder), "--levels", "1"]
    try:
        assert main([*command, "--examples", "1", "--conditions", "visual"]) == 0
        without = analyzed(folder)
        out = capsys.readouterr().out
        assert main([*command, "--examples", "0", "--mosaic"]) == 0
        mosaic = analyzed(folder).outcome
    finally:
        boxes.write_text(text)
    assert without.outcome.boxes == 0
    assert without.outcome.baselines == ()
    assert [one.condition for one in without.outcome.attacked] == ["visual"]
    assert without.outcome.clean.places is None
    panels = eps_chart(without).panels
    assert [panel.title for panel in panels] == ["peak moved, %", "recognized, %"]
    assert "no boxes" in out
    assert (mosaic.boxes, mosaic.map_size) == (6, (4, 4))
    assert mosaic.clean.places is not None
    whole = {baseline.name: baseline.places for baseline in mosaic.baselines}["whole"]
    assert whole.auc == pytest.approx(100 * (5.5 / 20))  # the own picture is a quarter
    assert not (folder / "localize.npz").exists()


def test_a_model_without_a_map_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = analyzed(finished).result
    folder = tmp_path / "attack" / result.run_id
    folder.mkdir(parents=True)
    fusion = experiment_for("attack", "fusion=concat").model.fusion
    model = replace(result.experiment.model, fusion=fusion)
    experiment = replace(result.experiment, model=model)
    write_result(folder, replace(result, experiment=experiment))
    assert main(["localize", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "its fusion, Concat, has no response map" in error
    assert error.count("\n") == 1


def test_a_condition_that_the_run_has_not_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["localize", str(finished), "--conditions", "visual,smell"]) == 2
    error = capsys.readouterr().err
    assert "--conditions smell" in error
    assert "choices: audio, visual, audiovisual" in error
