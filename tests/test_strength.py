"""The smallest budgets that fool: of known models exactly, of real ones as the plain attack finds them."""

import csv
import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avrobust.analyses.strength.compute import interaction, strength
from avrobust.attacks.pgd import PGD
from avrobust.cli.main import main
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.tasks import attack as attack_task
from avrobust.threats import Threat, audio_budget, suite, visual_budget
from avrobust.types import Batch, Clip
from tests.support import attack, batch_of, built, experiment_for, model_for

LARGEST = Threat(audio_budget(0.4), visual_budget(0.4, "pixel"))


def moved(clip: Clip) -> tuple[Tensor, Tensor]:
    """How far the sound was raised from 0 and the frames from a half."""
    return clip.audio.mean((1, 2)), clip.visual.mean((1, 2, 3, 4)) - 0.5


def needs(audio: float, visual: float, *, either: bool = False) -> object:
    """A model that errs once the changes, each as a share of what it takes, add up to 1, or one of them is 1."""

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
    found = strength(needs(0.2, 0.4), [ZEROS], PGD1, LARGEST, levels=8, grid=4)  # type: ignore[arg-type]
    assert found.keys == ("a", "b", "c")
    # In steps of 0.05: 0.2 of the sound, 0.4 of the frames, 0.15 of each (0.75 + 0.375 > 1, 0.1 of
    # each is not enough).
    assert {c: x.tolist() for c, x in found.alone.items()} == {
        "audio": [4] * 3,
        "visual": [8] * 3,
        "audiovisual": [3] * 3,
    }
    assert found.surface[0].tolist() == [4, 2, 0, 0, 0]  # in steps of 0.1


def test_what_no_budget_fools_and_what_errs_already() -> None:
    out_of_reach = strength(needs(9, 9), [ZEROS], PGD1, LARGEST, levels=4, grid=2)  # type: ignore[arg-type]
    assert all((x == 5).all() for x in out_of_reach.alone.values())
    assert (out_of_reach.surface == 3).all()
    wrong = strength(
        needs(9, 9), [ZEROS._replace(label=ZEROS.label + 1)], PGD1, LARGEST, levels=4, grid=2
    )  # type: ignore[arg-type]
    assert all((x == 0).all() for x in [*wrong.alone.values(), wrong.surface])


def test_interaction_of_modalities_that_add_up_and_of_modalities_that_do_not() -> None:
    together, apart = (
        interaction(
            strength(needs(0.4, 0.4, either=e), [ZEROS], PGD1, LARGEST, levels=2, grid=2).surface
        )  # type: ignore[arg-type]
        for e in (False, True)
    )
    assert together.gain.tolist() == [[0, 0, 0], [0, 100, 0], [0, 0, 0]]
    assert torch.equal(together.neither, together.gain)
    assert together.unsaved.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 100]]
    assert not apart.gain.any()
    assert apart.saved_by_audio[2].tolist() == [100, 100, 0]
    assert apart.saved_by_visual[:, 2].tolist() == [100, 100, 0]
    assert apart.accuracy.tolist() == [[100, 100, 0], [100, 100, 0], [0, 0, 0]]


def test_it_agrees_with_the_attack_at_every_budget() -> None:
    model, batch, grid = model_for(), batch_of(8, seed=4), 3
    batch = batch._replace(label=model(batch.clip).argmax(1))
    largest = suite(0.2, visual=0.06)["audiovisual"]
    found = strength(model, [batch], PGD(4, 0.5), largest, levels=4, grid=grid)
    assert found.surface.unique().numel() > 2
    for i, j in product(range(grid + 1), repeat=2):
        eps = (largest.audio.eps * i / grid, largest.visual.eps * j / grid)  # type: ignore[union-attr]
        threat = Threat(
            *(replace(b, eps=e) if e else None for b, e in zip(largest.budgets, eps, strict=True))
        )  # type: ignore[type-var]
        records = evaluate(model, [batch], PGD(4, 0.5), {"audiovisual": threat})
        stands = [r.correct for r in records if r.condition == "audiovisual"]
        # On these clips the attack is monotone, so that nothing is lost by walking along the
        # frontier.
        assert stands == (found.surface[:, i] > j).tolist()


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
        strength(model, b, attack, largest, levels=4, grid=2) for b in ([batch], single)
    )
    assert torch.equal(whole.surface, parts.surface)


def test_an_attack_without_budget_has_no_smallest_one() -> None:
    with pytest.raises(UserError, match="keeps to budgets"):
        strength(model_for(), [batch_of(2)], built("attack", "mim_released"), LARGEST)
    with pytest.raises(UserError, match="budget of each modality"):
        strength(model_for(), [batch_of(2)], PGD(), suite(0.1)["audio"])


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an attack run that has its strengths as well."""
    runs = tmp_path_factory.mktemp("strengths")
    _, *overrides = attack(
        prepared, runs, "attack=fgsm", "threat=synthetic", "eps=0.02", "training.epochs=1"
    )
    attack_task.main(experiment_for("attack", *overrides))
    (folder,) = (runs / "attack").iterdir()
    assert main(["surface", str(folder), "--levels", "4", "--grid", "2"]) == 0
    return folder


def test_a_run_gets_its_curves_its_clips_and_a_picture(finished: Path) -> None:
    content, result = (
        json.loads((finished / f"{name}.json").read_text()) for name in ("strength", "result")
    )
    assert content["n"] == result["n"]
    assert content["largest"] == {"audio": 0.01, "visual": 0.16}
    for condition, curve in content["curves"].items():
        assert curve["accuracy"][0] == result["accuracy"]["clean"]
        assert curve["accuracy"][-1] <= result["accuracy"][condition]
        assert curve["accuracy"] == sorted(curve["accuracy"], reverse=True)
    assert content["surface"]["accuracy"][0][0] == pytest.approx(result["accuracy"]["clean"])
    rows = list(csv.DictReader((finished / "strength.csv").read_text().splitlines()))
    assert len(rows) == result["n"]
    fell = [row["audiovisual"] for row in rows if row["audiovisual"]]
    assert 100 * len(fell) / len(rows) == pytest.approx(
        100 - content["curves"]["audiovisual"]["accuracy"][-1]
    )
    assert (finished / "strength.png").stat().st_size > 10_000
    assert (finished / "strength.pdf").is_file()
