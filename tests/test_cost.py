"""What an attack asks of the model, against an independent count of every pass."""

from dataclasses import dataclass

import pytest
from torch import Tensor

from avrobust.attacks.apgd import APGD
from avrobust.attacks.av_auto import AVAuto
from avrobust.attacks.base import Attack
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.mim import MIM
from avrobust.attacks.pgd import PGD
from avrobust.attacks.square import Square
from avrobust.attacks.transfer import Transfer
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import by_condition, cost, sum_queries, worst_case
from avrobust.threats import suite
from avrobust.types import Clip
from tests.support import batch_of, model_for

MODEL, BATCH = model_for(classes=4), batch_of(6, seed=2, classes=4)
SUITE = suite(0.004)
ATTACKS: dict[str, Attack] = {
    "fgsm": FGSM(),
    "pgd": PGD(3),
    "restarts": PGD(3, 0.5, random_start=True, restarts=4, best=True),
    "mim": MIM(3, random_start=True, restarts=2),
    "apgd": APGD(5, stop=True, restarts=2),
    "square": Square(10),
    "av_auto": AVAuto(steps=4, targets=2, queries=8),
}


@dataclass
class Counting:
    """A model that counts the clips that it is shown, with and without a gradient."""

    gradients: int = 0
    queries: int = 0

    def __call__(self, clip: Clip) -> Tensor:
        with_gradient = clip.audio.requires_grad or clip.visual.requires_grad
        self.gradients += len(clip.audio) * with_gradient
        self.queries += len(clip.audio) * (not with_gradient)
        return MODEL(clip)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ATTACKS)
def test_every_pass_is_counted_for_the_clips_that_it_was_made_on(name: str) -> None:
    model = Counting()
    records = evaluate(model, [BATCH], ATTACKS[name], SUITE)
    assert sum(record.gradients for record in records) == model.gradients
    own = len(BATCH.key) * (1 + len(SUITE))  # the evaluation's, clean and of each outcome
    assert sum(record.queries for record in records) == model.queries - own
    assert not any(record.shared_gradients for record in records)


def test_clips_that_fell_are_left_alone_and_the_others_get_every_start() -> None:
    attack = PGD(3, 0.5, random_start=True, restarts=4, best=True)
    records = [r for r in evaluate(MODEL, [BATCH], attack, SUITE) if r.condition != "clean"]
    assert {r.gradients for r in records if r.correct} == {12}
    fallen = {r.gradients for r in records if not r.correct}
    assert 3 in fallen
    assert all(count in (3, 6, 9, 12) for count in fallen)


def test_one_gradient_for_all_conditions_is_counted_as_asked_and_as_shared() -> None:
    records = evaluate(MODEL, [BATCH], FGSM(), SUITE)
    groups = by_condition(records)
    for condition in SUITE:
        expected = {"gradients": 1.0, "queries": 0.0, "shared_gradients": 1.0}
        assert cost(groups[condition]) == expected
    pgd = by_condition(evaluate(MODEL, [BATCH], PGD(3), SUITE))
    assert cost(pgd["audio"]) == {"gradients": 3.0, "queries": 0.0, "shared_gradients": 1.0}


def test_of_transferred_clips_the_sources_passes_are_counted() -> None:
    records = evaluate(Counting(), [BATCH], Transfer(PGD(3), MODEL), SUITE)
    assert cost(by_condition(records)["visual"])["gradients"] == 3


def test_an_adaptive_attack_costs_what_all_its_objectives_cost() -> None:
    found = [evaluate(MODEL, [BATCH], attack, SUITE) for attack in (PGD(3), PGD(4))]
    summed = by_condition(sum_queries(worst_case(found), found))
    assert cost(summed["audio"])["gradients"] == 7


def test_what_is_counted_does_not_depend_on_batch_mates() -> None:
    def counted(batches: list[slice]) -> dict[tuple[str, str], tuple[int, int]]:
        parts = [
            BATCH._replace(
                clip=Clip(*(x[i] for x in BATCH.clip)), label=BATCH.label[i], key=BATCH.key[i]
            )
            for i in batches
        ]
        records = evaluate(lambda clip: MODEL(clip), parts, ATTACKS["restarts"], SUITE)
        return {(r.key, r.condition): (r.gradients, r.queries) for r in records}

    assert counted([slice(0, 6)]) == counted([slice(0, 1), slice(1, 6)])
