"""The ensemble: what it is made of, who gets the credit, and that no member alone does better."""

import torch

from avrobust.attacks.apgd import APGD
from avrobust.attacks.av_auto import AVAuto
from avrobust.attacks.pgd import PGD
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import success_by_attack
from avrobust.threats import suite
from avrobust.types import Batch, Clip
from avrobust.utils.randomness import generator
from tests.support import batch_of, built, model_for

ENSEMBLE = AVAuto(steps=10, targets=2, queries=30)
NAMES = ["apgd_ce", "apgd_t", "apgd_plus_cosine", "apgd_minus_cosine", "fab_t", "square"]


def names(model: object, classes: int) -> list[str]:
    return [m.name for m in ENSEMBLE.members(model, classes)]  # type: ignore[arg-type]


def recognized(classes: int = 5) -> Batch:
    """Clips of which the model errs on the last alone."""
    batch = batch_of(6, seed=4)
    label = model_for(classes=classes)(batch.clip).argmax(1).detach()
    label[-1] = (label[-1] + 1) % classes
    return batch._replace(label=label)


def test_members_are_those_that_fit_the_model() -> None:
    model = model_for()
    assert names(model, 11) == NAMES
    assert names(model, 3) == [n.replace("apgd_t", "apgd_dlr") for n in NAMES]
    assert names(model, 2) == [n for n in NAMES if n != "apgd_t"]
    assert (
        names(model.__call__, 11)
        == names(model_for("fusion=audio_only"), 11)
        == ["apgd_ce", "apgd_t", "fab_t", "square"]
    )
    assert ENSEMBLE.unsupported(model, 4, suite(0.1).values()) == []
    assert ENSEMBLE.unsupported(model, 4, suite(0.1, norm="l2").values())[0].startswith(
        "square, which is defined for"
    )
    assert [reason.split(",")[0] for reason in ENSEMBLE.unsupported(model.__call__, 3)] == [
        "apgd_t",
        "apgd with the cosine",
    ]


def test_who_knows_a_defense_tries_all_that_it_declares_once() -> None:
    objectives = built("defense", "minsim_exfmem").objectives(model_for("defense=minsim_exfmem"))
    adaptive = ENSEMBLE.adaptive_attack(objectives).attack
    assert isinstance(adaptive, AVAuto)
    members = {m.name: m.objective for m in adaptive.members(model_for(), 11)}
    declared = {f"apgd_{name}": o for name, o in objectives.items() if name != "cross_entropy"}
    assert list(members) == [
        *NAMES[:-2],
        *(name for name in declared if name not in NAMES),
        "fab_t",
        "square",
    ]
    assert members.items() >= declared.items()
    assert names(model_for(), 11) == NAMES


def test_every_clip_names_what_fooled_the_model() -> None:
    model, batch = model_for(classes=5), recognized()
    records = evaluate(model, [batch], ENSEMBLE, suite(0.004))
    for record in records:
        if record.condition == "clean":
            assert record.attack == ""
        elif record.key == "clip/5":
            assert record.attack == "clean"
        else:
            assert record.attack in NAMES if not record.correct else record.attack == ""
    counts = success_by_attack(records)
    assert sum(counts.values()) == sum(
        not record.correct for record in records if record.condition != "clean"
    )
    assert success_by_attack(evaluate(model, [batch], PGD(2), suite(0.004))) == {}


def test_no_member_alone_fells_a_clip_that_the_ensemble_leaves_standing() -> None:
    model, batch = model_for(classes=5).double(), recognized()
    clip = Clip(*(x.double() for x in batch.clip))

    def stands(attack: object) -> torch.Tensor:
        generators = [generator(0, key) for key in batch.key]
        x = attack(model, clip, batch.label, suite(0.003)["audiovisual"], generators=generators)
        return model(x).argmax(1) == batch.label

    together = stands(ENSEMBLE)
    assert not (together & ~stands(APGD(10))).any()
    assert together.sum() < len(batch.label)


def test_square_has_autoattacks_schedule_with_as_many_queries_and_a_fit_one_with_fewer() -> None:
    whole, few = AVAuto().square, AVAuto(queries=500).square
    assert whole._share(4999) == 0.8 / 2**7  # after 4,000 of 5,000, in absolute numbers
    assert few._share(499) == 0.8 / 2**9


def test_in_l2_it_goes_without_square_and_fab() -> None:
    records = evaluate(
        model_for(classes=5),
        [recognized()],
        ENSEMBLE,
        suite(0.5, norm="l2", units="pixel", snr=25.0),
    )
    assert {record.attack for record in records}.isdisjoint({"square", "fab_t"})
    assert any(record.attack.startswith("apgd") for record in records)
