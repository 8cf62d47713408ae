"""The smallest budgets that fool: exactly of known models, of real ones as PGD finds them."""

import csv
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avrobust.analyses.outcomes import read_outcome
from avrobust.analyses.surface.analysis import ANALYSIS
from avrobust.analyses.surface.compute import smallest_budgets
from avrobust.analyses.surface.measure import interaction
from avrobust.analyses.surface.outcome import SurfaceOutcome
from avrobust.attacks.pgd import PGD
from avrobust.cli.main import main
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.experiments.result_files import read_result
from avrobust.experiments.results import EvaluationResult
from avrobust.tasks import attack as attack_task
from avrobust.threats import Threat, audio_budget, suite, visual_budget
from avrobust.types import Batch, Clip
from tests.results import put
from tests.support import attack, batch_of, built, experiment_for, model_for

LARGEST = Threat(audio_budget(0.4), visual_budget(0.4, "pixel"))


def moved(clip: Clip) -> tuple[Tensor, Tensor]:
    """How far the sound was raised from 0 and the frames from a half."""
    return clip.audio.mean((1, 2)), clip.visual.mean((1, 2, 3, 4)) - 0.5


def needs(audio: float, visual: float, *, either: bool = False) -> object:
    """A model that errs once the changes add up to 1, or, with `either`, once one of them is 1.

    Each change counts as a share of what it takes.
    """

    def model(clip: Clip) -> Tensor:
        a, v = (x / enough for x, enough in zip(moved(clip), (audio, visual), strict=True))
        total = torch.maximum(a, v) if either else a + v
        return torch.stack([torch.zeros_like(total), total - 1 + 1e-5], 1)

    return model


ZEROS = Batch(
    Clip(torch.zeros(3, 1, 8), torch.full((3, 1, 3, 2, 2), 0.5)),
    torch.zeros(3, dtype=torch.int64),
    ("a", "b", "c"),
)
PGD1 = PGD(1, 1.0)


def test_the_smallest_budgets_of_a_model_that_is_known() -> None:
    found = smallest_budgets(needs(0.2, 0.4), [ZEROS], PGD1, LARGEST, levels=8, grid=4)
    assert found.keys == ("a", "b", "c")
    # In steps of 0.05: 0.2 of the sound, 0.4 of the frames, 0.15 of each (0.75 + 0.375 > 1, 0.1 of
    # each is not enough).
    assert {modalities: first.tolist() for modalities, first in found.first_level.items()} == {
        ("audio",): [4] * 3,
        ("visual",): [8] * 3,
        ("audio", "visual"): [3] * 3,
    }
    assert found.frontier[0].tolist() == [4, 2, 0, 0, 0]  # in steps of 0.1


def test_what_no_budget_fools_and_what_errs_already() -> None:
    out_of_reach = smallest_budgets(needs(9, 9), [ZEROS], PGD1, LARGEST, levels=4, grid=2)
    assert all((x == 5).all() for x in out_of_reach.first_level.values())
    assert (out_of_reach.frontier == 3).all()
    wrong = smallest_budgets(
        needs(9, 9), [ZEROS._replace(label=ZEROS.label + 1)], PGD1, LARGEST, levels=4, grid=2
    )  # type: ignore[arg-type]
    assert all((x == 0).all() for x in [*wrong.first_level.values(), wrong.frontier])


def test_interaction_of_modalities_that_add_up_and_of_modalities_that_do_not() -> None:
    together, apart = (
        interaction(
            smallest_budgets(
                needs(0.4, 0.4, either=e), [ZEROS], PGD1, LARGEST, levels=2, grid=2
            ).frontier
        )  # type: ignore[arg-type]
        for e in (False, True)
    )
    assert together.gain == ((0, 0, 0), (0, 100, 0), (0, 0, 0))
    assert together.neither == together.gain
    assert together.unsaved == ((0, 0, 0), (0, 0, 0), (0, 0, 100))
    assert not any(any(row) for row in apart.gain)
    assert apart.saved_by_audio[2] == (100, 100, 0)
    assert [row[2] for row in apart.saved_by_visual] == [100, 100, 0]
    assert apart.accuracy == ((100, 100, 0), (100, 100, 0), (0, 0, 0))


def test_it_agrees_with_the_attack_at_every_budget() -> None:
    model, batch, grid = model_for(), batch_of(8, seed=4), 3
    batch = batch._replace(label=model(batch.clip).argmax(1))
    largest = suite(0.2, visual=0.06)["audiovisual"]
    found = smallest_budgets(model, [batch], PGD(4, 0.5), largest, levels=4, grid=grid)
    assert found.frontier.unique().numel() > 2
    for i, j in product(range(grid + 1), repeat=2):
        eps = (largest.audio.eps * i / grid, largest.visual.eps * j / grid)
        threat = Threat(
            *(replace(b, eps=e) if e else None for b, e in zip(largest.budgets, eps, strict=True))
        )  # type: ignore[type-var]
        records = evaluate(model, [batch], PGD(4, 0.5), {"audiovisual": threat})
        stands = [r.correct for r in records if r.condition == "audiovisual"]
        # On these clips the attack is monotone, so that nothing is lost by walking along the
        # frontier.
        assert stands == (found.frontier[:, i] > j).tolist()


def test_random_draws_depend_on_no_batch_mate() -> None:
    model, attack = model_for(), PGD(2, 0.5, random_start=True)
    largest = suite(0.02, visual=4.0)["audiovisual"]
    batch = batch_of(4)
    single = [
        Batch(
            Clip(*(x[i : i + 1] for x in batch.clip)), batch.label[i : i + 1], batch.key[i : i + 1]
        )
        for i in range(4)
    ]
    whole, parts = (
        smallest_budgets(model, b, attack, largest, levels=4, grid=2) for b in ([batch], single)
    )
    assert torch.equal(whole.frontier, parts.frontier)


def test_an_attack_without_budget_has_no_smallest_one() -> None:
    with pytest.raises(UserError, match="keeps to budgets"):
        smallest_budgets(model_for(), [batch_of(2)], built("attack", "mim_released"), LARGEST)
    with pytest.raises(UserError, match="budget of each modality"):
        smallest_budgets(model_for(), [batch_of(2)], PGD(), suite(0.1)["audio"])


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an attack run that has its smallest budgets as well."""
    runs = tmp_path_factory.mktemp("budgets")
    _, *overrides = attack(
        prepared, runs, "attack=fgsm", "threat=synthetic", "eps=0.02", "training.epochs=1"
    )
    result = attack_task.main(experiment_for("attack", *overrides))
    folder = runs / "attack" / result.run_id
    assert main(["surface", str(folder), "--levels", "4", "--grid", "2"]) == 0
    return folder


def test_a_run_gets_its_curves_its_clips_and_a_picture(finished: Path) -> None:
    outcome: SurfaceOutcome = read_outcome(ANALYSIS, finished)
    result = read_result(finished)
    assert isinstance(result, EvaluationResult)
    assert outcome.n == result.n
    assert outcome.largest == {"audio": 0.01, "visual": 0.16}
    assert [curve.name for curve in outcome.curves] == [one.name for one in result.attacked]
    for curve in outcome.curves:
        accuracy = [one.percent for one in curve.accuracy]
        assert accuracy[0] == result.clean.accuracy.percent
        assert accuracy[-1] <= result.accuracy[curve.name]
        assert accuracy == sorted(accuracy, reverse=True)
    assert outcome.interaction.accuracy[0][0] == pytest.approx(result.clean.accuracy.percent)
    rows = list(csv.DictReader((finished / "surface.csv").read_text().splitlines()))
    assert len(rows) == result.n
    fooled = [row["audiovisual"] for row in rows if row["audiovisual"]]
    left = outcome.curves[-1].accuracy[-1].percent
    assert 100 * len(fooled) / len(rows) == pytest.approx(100 - left)
    assert (finished / "surface.png").stat().st_size > 10_000
    assert (finished / "surface-curves.pdf").is_file()


def test_an_attack_that_leads_to_a_class_is_refused(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = put(tmp_path, (90, 50, 40, 10), "attack=fgsm", "+target=next")
    assert main(["surface", str(tmp_path / "attack" / result.run_id)]) == 2
    assert "content with any error" in capsys.readouterr().err
