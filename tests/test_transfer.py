"""Clips made on one model and shown to another: attack, the other model's config, command."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avrobust.attacks.pgd import PGD
from avrobust.attacks.transfer import Transfer
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.experiments.identity import identity
from avrobust.experiments.runs import Run, run_for, training_run
from avrobust.experiments.settings import Experiment, ModelSettings, attack_name
from avrobust.report.command import command
from avrobust.report.load import load
from avrobust.report.row import notes, title
from avrobust.tasks import attack as attack_task
from avrobust.tasks import defend
from avrobust.tasks.sibling import accuracy_under
from avrobust.tasks.transfer import white_box
from avrobust.threats import suite
from avrobust.types import Clip
from tests.results import NAMES, evaluation_result, evaluations, trainings
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


def source_of(experiment: Experiment) -> ModelSettings:
    source = experiment.evaluation.source
    assert source is not None
    return source


def test_the_source_is_the_run_that_its_own_config_describes() -> None:
    experiment = experiment_for(
        "attack",
        "defense=minsim",
        "fusion@source.fusion=sum",
        "defense@source.defense=minsim_exfmem",
        "source.seed=3",
    )
    source = source_of(experiment)
    own = experiment_for("attack", "fusion=sum", "defense=minsim_exfmem", "seed=3")
    assert source == own.model
    assert training_run(experiment, source, "data") == training_run(own, own.model, "data")
    attacked = experiment_for("attack", "defense=minsim").model
    assert experiment.model == attacked
    assert attack_name(experiment.model, experiment.evaluation) == "pgd from sum+minsim_exfmem+s3"


def test_what_the_source_does_not_name_is_as_in_the_attacked_model() -> None:
    source = source_of(experiment_for("attack", "fusion=film", "visual=cnn", "source.seed=1"))
    assert source == experiment_for("attack", "fusion=film", "visual=cnn", "seed=1").model


def test_the_source_is_in_the_identity_unless_it_is_the_model_itself() -> None:
    plain = experiment_for("attack")
    itself = experiment_for("attack", "fusion@source.fusion=concat")
    other = experiment_for("attack", "fusion@source.fusion=sum")
    assert "source" not in identity(plain)
    assert itself.evaluation.source is None
    assert run_for(plain, "data") == run_for(itself, "data")
    assert run_for(plain, "data") != run_for(other, "data")
    assert "-pgd-from-sum-" in run_for(other, "data").run_id


def test_the_command_of_a_transferred_row_names_the_source() -> None:
    experiment = experiment_for("attack", "defense@source.defense=minsim")
    overrides = ("defense@source.defense=minsim", "defense.match_epochs=false")
    experiment = replace(experiment, execution=replace(experiment.execution, overrides=overrides))
    line = command(evaluation_result(experiment, (1, 1, 1, 1)))
    assert "defense@source.defense=minsim" in line
    assert "match_epochs" not in line


def test_both_models_and_the_white_box_row_are_made_on_the_way(
    prepared: Path, tmp_path: Path
) -> None:
    _, *overrides = attack(
        prepared, tmp_path, "attack=fgsm", "fusion@source.fusion=sum", "training.epochs=1"
    )
    row = attack_task.main(experiment_for("attack", *overrides))
    assert "concat: fgsm from sum, threat paper" in title(row)
    assert any("made on the attacked model itself: Avg" in note for note in notes(row))
    results = evaluations(tmp_path)
    (own,) = (result for result in results if result.white_box is None)
    assert len(results) == 2
    assert row.white_box is not None
    assert row.white_box.run_id == own.run_id
    assert row.white_box.accuracy == own.accuracy
    assert row.model == own.model != row.white_box.source
    assert len(trainings(tmp_path)) == 2
    names = {entry.labels.attack for entry in load(tmp_path).entries}
    assert names == {"fgsm", "fgsm from sum"}


def test_a_white_box_attack_that_a_transferred_one_beats_is_not_trusted() -> None:
    model, batches = model_for(), [batch_of(40)]
    records = evaluate(model, batches, PGD(), SUITE)
    accuracy = summarize(records).accuracy
    experiment = experiment_for("attack")
    source = Run("train", "other", Path("other"))
    weak = evaluation_result(experiment, (40, 40, 40, 40), n=40)
    beside = white_box(records, source, weak)
    assert beside.source == "other"
    assert len(beside.reasons) == 3
    counts = [round(accuracy[name] / 100 * 40) for name in NAMES]
    same = evaluation_result(experiment, counts, n=40)
    assert white_box(records, source, same).reasons == ()


def test_defend_attacks_the_defended_model_itself(prepared: Path, tmp_path: Path) -> None:
    _, *overrides = attack(prepared, tmp_path, "attack=fgsm", "defense=minsim", "source.seed=1")
    with pytest.raises(UserError, match=r"attacks the defended model itself"):
        defend.main(experiment_for("defend", *overrides))


def test_a_defended_models_verdict_has_clips_of_the_undefended_one_where_it_is_trained(
    prepared: Path, tmp_path: Path
) -> None:
    short = ("attack=av_auto", "attack.steps=2", "attack.queries=2", "training.epochs=1")

    def transfer_checks(*overrides: str) -> list[str]:
        _, *rest = attack(prepared, tmp_path, *short, *overrides)
        verdict = attack_task.main(experiment_for("attack", *rest)).verdict
        assert verdict is not None
        return [name for name, texts in verdict.checks.items() if "transfer" in texts]

    assert transfer_checks("defense=minsim") == []
    assert transfer_checks() == []
    assert transfer_checks("defense=minsim", "force=true") == list(NAMES[1:])


def test_a_defense_that_only_hides_gradients_falls_to_clips_of_the_undefended_model() -> None:
    batch, source = batch_of(12), model_for()
    with torch.no_grad():
        batch = batch._replace(label=source(batch.clip).argmax(1))
    accuracy = accuracy_under(lambda clip: source(clip).round(decimals=1), [batch], SUITE, source)
    own = evaluate(source, [batch], PGD(20, 0.125), SUITE)
    assert accuracy == pytest.approx(summarize(own).accuracy, abs=10)
