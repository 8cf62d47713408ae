"""Clips made on one model and shown to another: the attack, the other model's config, and the command."""

import json
from pathlib import Path

import pytest
import torch
from avrobust.report.collect import collect
from avrobust.tasks.source import beside_white_box

from avrobust.attacks.pgd import PGD
from avrobust.attacks.transfer import Transfer
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.experiments.identity import attack_name, science, source_of
from avrobust.experiments.runs import Run, run_for
from avrobust.report.command import command
from avrobust.report.row import notes, title
from avrobust.tasks import attack as attack_task
from avrobust.tasks import defend
from avrobust.threats import suite
from avrobust.types import Clip
from tests.support import attack, batch_of, built, experiment_for, model_for

SUITE = suite(0.02, visual=8.0)


def test_the_clips_are_those_of_the_source() -> None:
    source, model, batch = model_for("seed=1"), model_for(), batch_of(6)
    shown: list[Clip] = []

    def asked(clip: Clip) -> torch.Tensor:
        shown.append(clip)
        return model(clip)  # type: ignore[no-any-return]

    evaluate(asked, [batch], Transfer(PGD(), source), SUITE)
    assert (
        len(shown) == 4
    )  # clean, and the three outcomes: no gradient of the attacked model is asked
    for clip, threat in zip(shown[1:], SUITE.values(), strict=True):
        own = PGD()(source, batch.clip, batch.label, threat)
        assert all(torch.equal(x, y) for x, y in zip(clip, own, strict=True))


def test_from_the_model_itself_it_is_the_attack_itself() -> None:
    model, batches = model_for(), [batch_of(8)]
    own, transferred = (evaluate(model, batches, a, SUITE) for a in (PGD(), Transfer(PGD(), model)))
    assert summarize(own).accuracy == summarize(transferred).accuracy


def test_bounds_and_norms_are_those_of_the_attack_within() -> None:
    for name in ("pgd", "square", "mim_released"):
        inner = built("attack", name)
        outer = Transfer(inner, model_for())
        assert (outer.bounded, outer.norms, outer.needs_gradient) == (
            inner.bounded,
            inner.norms,
            inner.needs_gradient,
        )


def test_the_source_is_the_run_that_its_own_config_describes() -> None:
    given = (
        "defense=minsim",
        "fusion@source.fusion=sum",
        "defense@source.defense=minsim_exfmem",
        "source.seed=3",
    )
    config = experiment_for("attack", *given)
    other = source_of(config)
    assert other is not None
    own = experiment_for("attack", "fusion=sum", "defense=minsim_exfmem", "seed=3")
    assert run_for("train", other, "data") == run_for("train", own, "data")
    assert other["choices"] == own["choices"]
    assert run_for("train", config, "data") == run_for(
        "train", experiment_for("attack", "defense=minsim"), "data"
    )
    assert attack_name(config) == "pgd from sum+minsim_exfmem+s3"


def test_what_the_source_does_not_name_is_as_in_the_attacked_model() -> None:
    other = source_of(experiment_for("attack", "fusion=film", "visual=cnn", "source.seed=1"))
    assert other is not None
    own = experiment_for("attack", "fusion=film", "visual=cnn", "seed=1")
    assert run_for("train", other, "data") == run_for("train", own, "data")


def test_the_source_is_science_unless_it_is_the_model_itself() -> None:
    plain, itself, other = (
        experiment_for("attack", *more)
        for more in ([], ["fusion@source.fusion=concat"], ["fusion@source.fusion=sum"])
    )
    assert "source" not in science("attack", plain)
    assert run_for("attack", plain, "data") == run_for("attack", itself, "data")
    assert run_for("attack", plain, "data") != run_for("attack", other, "data")
    assert "-pgd-from-sum-" in run_for("attack", other, "data").run_id


def test_the_command_of_a_transferred_row_names_the_source() -> None:
    config = experiment_for("attack", "defense@source.defense=minsim")
    config["overrides"] = ["defense@source.defense=minsim", "defense.match_epochs=false"]
    assert "defense@source.defense=minsim" in command({"config": config, "task": "attack"})


def test_both_models_and_the_white_box_row_are_made_on_the_way(
    prepared: Path, tmp_path: Path
) -> None:
    _, *overrides = attack(
        prepared, tmp_path, "attack=fgsm", "fusion@source.fusion=sum", "training.epochs=1"
    )
    row = attack_task.main(experiment_for("attack", *overrides))
    assert "concat: fgsm from sum, threat paper" in title(row)
    assert any("made on the attacked model itself: Avg" in note for note in notes(row))
    results = [json.loads(path.read_text()) for path in tmp_path.glob("attack/*/result.json")]
    (own,) = (result for result in results if "white_box" not in result)
    assert len(results) == 2
    assert row["white_box"]["run_id"] == own["run_id"]
    assert row["white_box"]["accuracy"] == own["accuracy"]
    assert row["model"] == own["model"] != row["source"]
    assert len(list(tmp_path.glob("train/*/result.json"))) == 2
    assert set(collect(tmp_path)["attack"]) == {"fgsm", "fgsm from sum"}


def test_a_white_box_attack_that_a_transferred_one_beats_is_not_trusted() -> None:
    model, batches = model_for(), [batch_of(40)]
    records = evaluate(model, batches, PGD(), SUITE)
    own = {"run_id": "own", "accuracy": dict.fromkeys(SUITE, 100.0)}
    found = beside_white_box(records, Run("train", "other", Path("other")), own)
    assert found["source"] == "other"
    assert len(found["white_box"]["reasons"]) == 3
    same = {"run_id": "own", "accuracy": summarize(records).accuracy}
    assert (
        beside_white_box(records, Run("train", "other", Path("other")), same)["white_box"][
            "reasons"
        ]
        == []
    )


def test_defend_attacks_the_defended_model_itself(prepared: Path, tmp_path: Path) -> None:
    _, *overrides = attack(prepared, tmp_path, "attack=fgsm", "defense=minsim", "source.seed=1")
    with pytest.raises(UserError, match=r"attacks the defended model itself"):
        defend.main(experiment_for("defend", *overrides))
