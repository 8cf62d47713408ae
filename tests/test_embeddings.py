"""Embeddings of finished runs: of the very clips that the run was scored on; and what the report makes of the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avrobust.analyses.embeddings.command import _cosines
from avrobust.report.charts import dots, scale
from avrobust.report.collect import collect
from avrobust.report.style import save_all
from matplotlib.figure import Figure
from PIL import Image

from avrobust.analyses.embeddings.compute import embedded, tsne
from avrobust.analyses.embeddings.section import comparisons
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.gradients import cross_entropy
from avrobust.cli.main import main
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.metrics import compactness
from avrobust.report.figures import write_figures
from avrobust.tasks import attack as attack_task
from avrobust.threats import suite
from avrobust.types import Clip
from tests.support import attack, batch_of, experiment_for, model_for
from tests.test_page import page
from tests.test_page import run as put

SUITE = suite(0.05, visual=4.0)


def test_it_is_what_the_model_saw() -> None:
    model, batch = model_for(), batch_of(6)
    seen: dict[str, Clip] = {}
    evaluate(
        model,
        [batch],
        FGSM(),
        SUITE,
        watch=lambda _, condition, clip: seen.update({condition.name: clip}),
    )
    found = embedded(model, [batch], FGSM(), SUITE)
    assert found.keys == batch.key
    for condition, clip in seen.items():
        with torch.no_grad():
            expected = model.encode(clip)
        for modality in ("audio", "visual"):
            values = found.values["encoded", modality, condition]  # type: ignore[index]
            np.testing.assert_allclose(values, getattr(expected, modality), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        found.values["encoded", "audio", "visual"], found.values["encoded", "audio", "clean"]
    )
    assert {stage for stage, *_ in found.values} == {"encoded"}


def test_a_model_that_restores_has_both() -> None:
    model, batch = model_for("defense=exfmem"), batch_of(4)
    found = embedded(model, [batch], FGSM(), SUITE)
    encoded = torch.from_numpy(found.values["encoded", "audio", "audiovisual"])
    with torch.no_grad():
        expected = model.restore("audio", encoded)
    np.testing.assert_allclose(
        found.values["restored", "audio", "audiovisual"], expected, rtol=1e-3, atol=1e-4
    )


def test_of_several_objectives_it_is_the_worst_for_each_clip() -> None:
    model, batch = model_for(), batch_of(6)

    def nothing(model: Any, clip: Clip, label: torch.Tensor) -> torch.Tensor:
        return 0 * cross_entropy(model, clip, label)  # FGSM then moves nothing

    both = embedded(model, [batch], FGSM(), SUITE, objectives=[nothing, cross_entropy])
    alone = embedded(model, [batch], FGSM(), SUITE)
    assert both.accuracy == alone.accuracy
    place = ("encoded", "audio", "audiovisual")
    hurt = both.values[place] == both.values["encoded", "audio", "clean"]  # type: ignore[index]
    assert not hurt.all()


def test_tsne_is_reproducible_and_draws_groups_together() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(12, 8)).astype(np.float32)
    far = first + 50
    once, again = tsne([first, far], 0), tsne([first, far], 0)
    assert once is not None
    assert again is not None
    np.testing.assert_array_equal(once[1], again[1])
    assert [group.shape for group in once] == [(12, 2), (12, 2)]
    assert tsne([first[:2], far[:2]], 0) is None


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            ("audio.widths=[8,8,8,8]",),
            "no cosine: embeddings of 8 numbers for audio and 16 for video",
        ),
        (("fusion=audio_only",), "no cosine: the model has audio alone"),
    ],
)
def test_without_two_embeddings_of_one_size_there_is_no_cosine(
    overrides: tuple[str, ...], reason: str
) -> None:
    model = model_for(*overrides)
    assert _cosines({0.05: embedded(model, [batch_of(4)], FGSM(), SUITE)}, model) == {
        "left_out": reason
    }


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an attack run that has its embeddings as well."""
    runs = tmp_path_factory.mktemp("embeddings")
    _, *overrides = attack(
        prepared, runs, "attack=fgsm", "threat=synthetic", "eps=0.02", "training.epochs=1"
    )
    attack_task.main(experiment_for("attack", *overrides))
    (folder,) = (runs / "attack").iterdir()
    assert main(["embeddings", str(folder), "--eps", "0,0.01"]) == 0
    return folder


def test_a_run_gets_coordinates_compactness_and_cosines(finished: Path) -> None:
    content, result = (
        json.loads((finished / f"{name}.json").read_text()) for name in ("embeddings", "result")
    )
    assert content["accuracy"] == result["accuracy"]
    assert content["n"] == len(content["labels"]) == result["n"]
    for modality, groups in content["points"]["encoded"].items():
        assert list(groups) == ["clean", modality, "audiovisual"]
        assert all(len(points) == result["n"] for points in groups.values())
    assert content["cosine"]["eps"] == [0, 0.01, 0.02]
    curves = content["cosine"]["stages"]["encoded"]
    assert len({tuple(curve[0]) for curve in curves.values()}) == 1  # clean is clean
    assert len(curves["audiovisual"]) == 3
    assert all(
        -1 <= mean <= 1 and deviation >= 0 for curve in curves.values() for mean, deviation in curve
    )
    assert set(content["compactness"]["encoded"]["audio"]["clean"]) == set(
        compactness(np.eye(4), np.arange(4) // 2) or ()
    )


def test_the_report_draws_them(finished: Path) -> None:
    runs = finished.parent.parent
    text = page(runs)
    assert 'id="embeddings"' in text
    assert text.count('class="dots') > 4
    write_figures(collect(runs), runs, runs / "figures")
    names = {path.name for path in (runs / "figures").iterdir()}
    assert {f"tsne-{finished.name}.png", f"cosine-{finished.name}.pdf"} <= names


RIGHT = (range(90), range(50), range(40), range(10))


def write_embeddings(
    folder: Path, classes: tuple[str, ...] = ("bell", "drum"), *stages: str
) -> None:
    """An embeddings.json of four clips."""
    conditions = {
        "audio": ("clean", "audio", "audiovisual"),
        "visual": ("clean", "visual", "audiovisual"),
    }
    square = [[0, 0], [0, 4], [2, 0], [2, 4]]
    found = {"intra_over_inter": 0.5, "silhouette": 0.25}
    names = ("encoded", *stages)
    curve = [[0.5, 0.1], [0.25, 0.1], [0.0, 0.2]]
    content = {
        "run_id": folder.name,
        "n": 4,
        "eps": 0.006,
        "classes": classes,
        "labels": [0, 0, 1, 1],
        "points": {
            s: {m: dict.fromkeys(cs, square) for m, cs in conditions.items()} for s in names
        },
        "compactness": {
            s: {m: dict.fromkeys(cs, found) for m, cs in conditions.items()} for s in names
        },
        "cosine": {
            "eps": [0, 0.006, 0.012],
            "stages": {s: dict.fromkeys(("audio", "visual", "audiovisual"), curve) for s in names},
        },
    }
    (folder / "embeddings.json").write_text(json.dumps(content))


def pair(runs: Path, *, beside: bool = True) -> None:
    """A defended run with embeddings, and if wanted those of the undefended one."""
    against = put(runs, RIGHT, "attack=fgsm")
    defended = put(
        runs, RIGHT, "attack=fgsm", "defense=minsim_exfmem", against={"run_id": against.name}
    )
    (runs / "defend").mkdir()
    defended = defended.rename(runs / "defend" / defended.name)
    result = json.loads((defended / "result.json").read_text())
    result |= {"task": "defend", "config": {**result["config"], "adaptive": "worst"}}
    (defended / "result.json").write_text(json.dumps(result))
    write_embeddings(defended, ("bell", "<b>drum"), "restored")
    if beside:
        write_embeddings(against, ("bell", "<b>drum"))


def test_a_defense_stands_beside_what_it_was_compared_with(tmp_path: Path) -> None:
    pair(tmp_path)
    found = comparisons(collect(tmp_path), tmp_path)
    (one,) = found.shown
    assert found.of == 1
    assert [side.name for side in one.sides] == ["undefended", "minsim_exfmem, restored"]
    assert [line.name for line in one.similarities] == [
        "undefended",
        "minsim_exfmem",
        "minsim_exfmem, restored",
    ]
    clean, attacked = one.sides[0].clouds["audio"]
    assert (clean.title, attacked.title) == ("clean", "both attacked")
    assert clean.points == [(0.25, 0), (0.25, 1), (0.75, 0), (0.75, 1)]
    assert list(dots(clean, one.sides[0].labels)) == [
        (0, "M25.0 100.0h0M25.0 0.0h0"),
        (1, "M75.0 100.0h0M75.0 0.0h0"),
    ]


def test_a_defense_alone_is_shown_alone(tmp_path: Path) -> None:
    pair(tmp_path, beside=False)
    (one,) = comparisons(collect(tmp_path), tmp_path).shown
    assert [side.name for side in one.sides] == ["minsim_exfmem, restored"]


def test_the_scale_of_cosines_holds_the_bands(tmp_path: Path) -> None:
    pair(tmp_path)
    (one,) = comparisons(collect(tmp_path), tmp_path).shown
    found = scale(one.similarities)
    assert (found.most, found.low, found.high) == (0.012, -0.2, 0.6)


def test_the_page_states_the_compactness_and_escapes_the_classes(tmp_path: Path) -> None:
    pair(tmp_path)
    text = page(tmp_path)
    assert text.count("ratio 0.50, silhouette 0.25") == 8
    assert "&lt;b&gt;drum" in text
    assert "<b>drum" not in text


def test_a_figure_that_would_be_the_same_stays(tmp_path: Path) -> None:
    drawn = []

    def draw(content: str) -> Figure:
        drawn.append(content)
        return Figure(figsize=(2, 1), facecolor="red", layout="constrained")

    for content in ("first", "first", "second"):
        save_all([("a <figure>", content, draw)], tmp_path)
    assert drawn == ["first", "second"]
    assert {path.name for path in tmp_path.iterdir()} == {"a__figure_.pdf", "a__figure_.png"}
    with Image.open(tmp_path / "a__figure_.png") as image:
        assert image.size == (400, 200)
        assert (np.asarray(image) == (255, 0, 0)).all()
    (tmp_path / "a__figure_.pdf").unlink()
    save_all([("a <figure>", "second", draw)], tmp_path)
    assert len(drawn) == 3
