"""Attacks that want one certain wrong answer: which, whether they get it, and what is refused."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avrobust.attacks.apgd import APGD
from avrobust.attacks.base import Attack
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.pgd import PGD
from avrobust.attacks.square import Square
from avrobust.attacks.targeted import Targeted
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.experiments.runs import run_for
from avrobust.report.row import notes, title
from avrobust.tasks import attack as attack_task
from avrobust.tasks import defend
from avrobust.threats import suite
from avrobust.types import Clip, Target
from avrobust.utils.randomness import generator
from tests.support import attack, batch_of, experiment_for, model_for

CLASSES = 5
MODEL, BATCH = model_for(classes=CLASSES), batch_of(10, seed=4, classes=CLASSES)
SUITE = suite(0.02, visual=8.0)
KINDS: dict[str, Attack] = {
    "pgd": PGD(10, 0.25),
    "apgd": APGD(10),
    "restarts": PGD(5, 0.5, random_start=True, restarts=3, best=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_it_gets_where_it_wants_more_often_than_an_attack_that_wants_any_error(name: str) -> None:
    aimed = evaluate(MODEL, [BATCH], Targeted(KINDS[name], "least_likely"), SUITE)
    plain = evaluate(MODEL, [BATCH], KINDS[name], SUITE)
    wanted = {(r.key, r.condition): r.target for r in aimed if r.condition != "clean"}
    there = [r.prediction == wanted[r.key, r.condition] for r in plain if r.condition != "clean"]
    reached = [r for r in aimed if r.target is not None and r.prediction == r.target]
    attempts = [r for r in aimed if r.target is not None]
    assert len(attempts) == 3 * len(BATCH.key)
    assert len(reached) / len(attempts) >= sum(there) / len(there) + 0.2
    # A clip that ends there is not recognized; one that is not recognized need not be there.
    assert all(not record.correct for record in reached)
    assert all(record.target is None for record in plain)


@pytest.mark.parametrize("choice", ["least_likely", "random", "next"])
def test_the_label_is_never_wanted_and_batch_mates_choose_nothing(choice: Target) -> None:
    def targets(order: list[int]) -> list[int]:
        generators = [generator(0, BATCH.key[i]) for i in order]
        clip = Clip(*(x[order] for x in BATCH.clip))
        threat = SUITE["audio"]
        return list(
            Targeted(FGSM(), choice)
            .run(MODEL, clip, BATCH.label[order], threat, generators=generators)
            .target
        )

    whole = targets(list(range(10)))
    assert not any(
        target == label for target, label in zip(whole, BATCH.label.tolist(), strict=True)
    )
    assert all(0 <= target < CLASSES for target in whole)
    assert targets([7, 2]) == [whole[7], whole[2]]
    with torch.no_grad():
        logits = MODEL(BATCH.clip)
    if choice == "least_likely":
        other = logits.scatter(1, BATCH.label[:, None], torch.inf)
        assert (other >= other.gather(1, torch.tensor(whole)[:, None])).all()
    if choice == "next":
        assert whole == ((BATCH.label + 1) % CLASSES).tolist()


def test_a_restart_goes_on_until_the_class_is_reached() -> None:
    attack = Targeted(PGD(2, 0.5, random_start=True, restarts=3, best=True), "least_likely")
    records = [r for r in evaluate(MODEL, [BATCH], attack, SUITE) if r.condition != "clean"]
    missed = [r for r in records if r.prediction != r.target]
    assert any(not r.correct for r in missed)
    assert {r.gradients for r in missed} == {6}


def test_what_cannot_lead_to_a_class_is_refused() -> None:
    for other in (Square(5), APGD(5, "dlr")):
        with pytest.raises(
            UserError, match=r"maximizes a loss of its own and cannot lead to a class"
        ):
            Targeted(other, "next")
    with pytest.raises(ValueError, match=r"choice must be one of least_likely, random, next"):
        Targeted(PGD(), "cello")  # type: ignore[arg-type]


def test_the_run_says_what_was_wanted_and_what_was_reached(prepared: Path, tmp_path: Path) -> None:
    _, *overrides = attack(
        prepared, tmp_path, "attack=pgd", "eps=0.05", "training.epochs=1", "target=next"
    )
    experiment = experiment_for("attack", *overrides)
    result = attack_task.main(experiment)
    assert "concat: pgd to next, threat paper" in title(result)
    assert any(note.startswith("ended in the wanted class (next): ") for note in notes(result))
    untargeted = replace(experiment, attack=replace(experiment.evaluation, target=None))
    assert run_for(experiment, "d") != run_for(untargeted, "d")
    folder = tmp_path / "attack" / result.run_id
    lines = list(csv.DictReader((folder / "examples.csv").read_text().splitlines()))
    for condition in result.attacked:
        own = [line for line in lines if line["condition"] == condition.name]
        share = 100 * sum(line["prediction"] == line["target"] for line in own) / len(own)
        assert condition.targeted_success is not None
        assert condition.targeted_success.percent == share


def test_defend_has_no_target() -> None:
    with pytest.raises(UserError, match="leads to no class"):
        defend.main(experiment_for("defend", "defense=minsim", "target=next"))
