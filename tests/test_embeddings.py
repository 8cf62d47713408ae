"""Embeddings of the clips that finished runs were scored on; the report's charts of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avrobust.analyses.base import Analyzed
from avrobust.analyses.embeddings.analysis import ANALYSIS
from avrobust.analyses.embeddings.compute import embed_clips, tsne
from avrobust.analyses.embeddings.measure import no_cosine
from avrobust.analyses.embeddings.outcome import EmbeddingsOutcome
from avrobust.analyses.embeddings.section import comparisons, cosine_chart, tsne_chart
from avrobust.analyses.outcomes import read_outcome, write_outcome
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.gradients import cross_entropy
from avrobust.cli.main import main
from avrobust.evaluation.evaluate import evaluate
from avrobust.experiments.result_files import read_result
from avrobust.experiments.results import EvaluationResult
from avrobust.report.analyses import analyzed_runs
from avrobust.report.figures import write_figures
from avrobust.report.load import load
from avrobust.tasks import attack as attack_task
from avrobust.threats import suite
from avrobust.types import Clip
from tests.outcomes import embeddings_outcome
from tests.results import comparison_with, put
from tests.support import attack, batch_of, experiment_for, model_for
from tests.test_page import page

SUITE = suite(0.05, visual=4.0)


def test_it_is_what_the_model_saw() -> None:
    model, batch = model_for(), batch_of(6)
    seen: dict[str, Clip] = {}
    evaluate(
        model,
        [batch],
        FGSM(),
        SUITE,
        observe=lambda _, condition, clip: seen.update({condition.name: clip}),
    )
    found = embed_clips(model, [batch], FGSM(), SUITE)
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
    found = embed_clips(model, [batch], FGSM(), SUITE)
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

    both = embed_clips(model, [batch], FGSM(), SUITE, objectives=[nothing, cross_entropy])
    alone = embed_clips(model, [batch], FGSM(), SUITE)
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
        ((), ""),
    ],
)
def test_without_two_embeddings_of_one_size_there_is_no_cosine(
    overrides: tuple[str, ...], reason: str
) -> None:
    assert no_cosine(model_for(*overrides)) == reason


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an attack run that has its embeddings as well."""
    runs = tmp_path_factory.mktemp("embeddings")
    _, *overrides = attack(
        prepared, runs, "attack=fgsm", "threat=synthetic", "eps=0.02", "training.epochs=1"
    )
    result = attack_task.main(experiment_for("attack", *overrides))
    folder = runs / "attack" / result.run_id
    assert main(["embeddings", str(folder), "--eps", "0,0.01"]) == 0
    return folder


def test_a_run_gets_coordinates_compactness_and_cosines(finished: Path) -> None:
    outcome: EmbeddingsOutcome = read_outcome(ANALYSIS, finished)
    result = read_result(finished)
    assert isinstance(result, EvaluationResult)
    assert outcome.accuracy == result.accuracy
    assert outcome.n == len(outcome.labels) == result.n
    for modality, space in outcome.spaces_at("encoded").items():
        names = [cloud.condition for cloud in space.clouds]
        assert names == ["clean", modality, "audiovisual"]
        assert all(len(cloud.points) == result.n for cloud in space.clouds)
        assert space.clouds[0].compactness is not None
    assert [curve.condition for curve in outcome.cosines] == ["audio", "visual", "audiovisual"]
    for curve in outcome.cosines:
        assert [point.eps for point in curve.points] == [0, 0.01, 0.02]
        assert curve.points[0] == outcome.cosines[0].points[0]  # clean is clean
        assert all(-1 <= point.mean <= 1 and point.deviation >= 0 for point in curve.points)


def test_the_report_draws_them(finished: Path) -> None:
    runs = finished.parent.parent
    text = page(runs)
    assert 'href="#embeddings"' in text
    assert "Audio, both attacked" in text
    write_figures(load(runs).entries, runs / "figures")
    names = {path.name for path in (runs / "figures").iterdir()}
    assert {f"tsne-{finished.name}.png", f"cosine-{finished.name}.pdf"} <= names


def write_pair(runs: Path, *, both: bool = True) -> list[Analyzed[Any]]:
    """A defended run with embeddings, and if wanted those of the undefended one."""
    classes = ("bell", "<b>drum")
    correct = (90, 50, 40, 10)
    undefended = put(runs, correct, "attack=fgsm")
    defense = "defense=minsim_exfmem"
    alone = put(runs / "alone", correct, "attack=fgsm", defense, task="defend")
    comparison = comparison_with(alone, undefended)
    defended = put(runs, correct, "attack=fgsm", defense, task="defend", comparison=comparison)
    restored = embeddings_outcome(classes, stages=("encoded", "restored"))
    write_outcome(ANALYSIS, runs / "defend" / defended.run_id, restored)
    if both:
        write_outcome(ANALYSIS, runs / "attack" / undefended.run_id, embeddings_outcome(classes))
    (analyzed,) = analyzed_runs(load(runs).entries)
    return analyzed.runs


def test_a_defense_stands_beside_what_it_was_compared_with(tmp_path: Path) -> None:
    (one,) = comparisons(write_pair(tmp_path))
    names = [model.name_at(model.stage) for model in one.models]
    assert names == ["undefended", "minsim_exfmem, restored"]
    legend = [key.name for key in cosine_chart(one).keys]
    assert legend == ["undefended", "minsim_exfmem", "minsim_exfmem, restored"]
    assert len({key.look for key in cosine_chart(one).keys}) == 3
    titles = [panel.title.splitlines()[:2] for panel in tsne_chart(one).panels]
    assert titles[:2] == [
        ["undefended", "Audio, clean"],
        ["undefended", "Audio, both attacked"],
    ]
    assert len(titles) == 2 * 2 * 2


def test_a_defense_alone_is_shown_alone(tmp_path: Path) -> None:
    (one,) = comparisons(write_pair(tmp_path, both=False))
    assert [model.name_at(model.stage) for model in one.models] == ["minsim_exfmem, restored"]


def test_clouds_fill_a_square_and_keep_their_proportions(tmp_path: Path) -> None:
    (one,) = comparisons(write_pair(tmp_path))
    _, panels = tsne_chart(one).content  # type: ignore[misc]
    assert panels[0].points == [(0.25, 0), (0.25, 1), (0.75, 0), (0.75, 1)]
    assert panels[0].labels == (0, 0, 1, 1)


def test_the_axis_of_cosines_holds_the_bands(tmp_path: Path) -> None:
    (one,) = comparisons(write_pair(tmp_path))
    _, x, y = cosine_chart(one).content  # type: ignore[misc]
    assert [tick.label for tick in x.ticks] == ["0", "6", "12"]
    assert y.low is not None
    assert y.high is not None
    assert y.low <= -0.2
    assert y.high >= 0.6


def test_the_page_states_the_compactness_and_escapes_the_classes(tmp_path: Path) -> None:
    write_pair(tmp_path)
    text = page(tmp_path)
    assert text.count("ratio 0.50, silhouette 0.25") >= 8
    assert "&lt;b&gt;drum" in text
    assert "<b>drum" not in text
