"""What attacks ask of a model, for all clips or for some of them, and which iterate they keep."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avrobust.attacks.best import BestAdversarial
from avrobust.attacks.cache import EmbeddingCache
from avrobust.attacks.mim import MIM
from avrobust.attacks.pgd import PGD
from avrobust.attacks.problem import Problem, put, take
from avrobust.threats import Threat, suite
from avrobust.types import Clip
from avrobust.utils.randomness import generator
from tests.support import batch_of, build_short, clip_of, model_for

MODEL, BATCH = model_for(), batch_of(5, seed=2)
SOME = torch.tensor([3, 0])


def problem(model: object, threat: Threat) -> Problem:
    generators = [generator(0, key) for key in BATCH.key]
    return Problem(model, BATCH.clip, BATCH.label, threat, generators)  # type: ignore[arg-type]


def test_some_clips_are_answered_as_in_the_whole_batch() -> None:
    held = EmbeddingCache(MODEL, BATCH.clip, BATCH.label).model("visual")
    for model, threat in ((MODEL, suite(0.1)["audiovisual"]), (held, suite(0.1)["audio"])):
        whole = problem(model, threat)
        part = whole.take(SOME)
        all_of_it, some = whole.value_and_grad(whole.clip), part.value_and_grad(part.clip)
        torch.testing.assert_close(some.loss, all_of_it.loss[SOME])
        torch.testing.assert_close(some.logits, all_of_it.logits[SOME])
        for one, other in zip(some.gradient, all_of_it.gradient, strict=True):
            torch.testing.assert_close(one, other[SOME], rtol=1e-3, atol=1e-6)
        assert part.generators == [whole.generators[3], whole.generators[0]]  # type: ignore[index]
        assert torch.equal(part.logits(part.clip).argmax(1), some.logits.argmax(1))


def test_a_verdict_costs_no_second_pass() -> None:
    asked = []

    def model(clip: Clip) -> Tensor:
        asked.append(1)
        return MODEL(clip)

    answer = problem(model, suite(0.1)["audiovisual"]).value_and_grad(BATCH.clip)
    assert len(asked) == 1
    torch.testing.assert_close(
        F.cross_entropy(answer.logits, BATCH.label, reduction="none"), answer.loss
    )


def test_an_objective_that_is_not_of_each_clip_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the objective returned shape \(\), expected one loss a clip: \(5,\)"
    ):
        PGD(1)(
            MODEL,
            BATCH.clip,
            BATCH.label,
            suite(0.1)["audio"],
            objective=lambda m, c, y: m(c).sum(),
        )


def test_nan_is_no_recognition_and_moves_nothing() -> None:
    threat = suite(0.1)["audiovisual"]
    broken = problem(MODEL, threat)
    assert broken.fooled(torch.full((5, 3), torch.nan)).all()
    moved = broken.step(BATCH.clip, Clip(*(torch.full_like(x, torch.nan) for x in BATCH.clip)), 1.0)
    assert all(torch.equal(x, clean) for x, clean in zip(moved, BATCH.clip, strict=True))


def test_clips_are_taken_and_put_back() -> None:
    other = clip_of(2, seed=9)
    changed = put(BATCH.clip, SOME, other)
    assert all(torch.equal(x, y) for x, y in zip(take(changed, SOME), other, strict=True))
    assert all(
        torch.equal(x[[1, 2, 4]], y[[1, 2, 4]]) for x, y in zip(changed, BATCH.clip, strict=True)
    )


def test_what_fools_is_worse_than_what_does_not_then_the_loss_counts() -> None:
    best = BestAdversarial(clip_of(3))
    first, second = clip_of(3, seed=1), clip_of(3, seed=2)
    best.update(first, torch.tensor([1.0, 1.0, 1.0]), torch.tensor([True, False, False]))
    better = best.update(second, torch.tensor([2.0, 0.5, 0.5]), torch.tensor([False, True, False]))
    assert better.tolist() == [False, True, False]
    assert [torch.equal(best.clip.audio[i], second.audio[i]) for i in range(3)] == [
        False,
        True,
        False,
    ]
    assert best.loss.tolist() == [1.0, 0.5, 1.0]


@pytest.mark.parametrize("kind", [PGD, MIM])
def test_best_iterates_and_restarts_leave_no_clip_better_off(kind: type[PGD] | type[MIM]) -> None:
    threat = suite(0.01)["audiovisual"]

    def outcome(**settings: object) -> tuple[Tensor, Tensor]:
        generators = [generator(0, key) for key in BATCH.key]
        attack = kind(6, 0.7, **settings)  # type: ignore[arg-type]
        return problem(MODEL, threat).loss_and_logits(
            attack(MODEL, BATCH.clip, BATCH.label, threat, generators=generators)
        )

    for once, more in (
        ({}, {"best": True}),
        ({"random_start": True}, {"random_start": True, "restarts": 3, "best": True}),
    ):
        (loss, logits), (high, found) = outcome(**once), outcome(**more)
        fooled, more_fooled = (problem(MODEL, threat).fooled(x) for x in (logits, found))
        assert (more_fooled | ~fooled).all()
        assert (high >= loss - 1e-5)[fooled == more_fooled].all()


def test_restarts_from_the_same_point_are_refused() -> None:
    with pytest.raises(ValueError, match="1 without random_start"):
        PGD(restarts=3)


class NoGradient(nn.Module):
    """Finite logits whose gradient is NaN: sqrt at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.model = model_for()

    def forward(self, clip: Clip) -> Tensor:
        logits: Tensor = self.model(clip)
        return logits + torch.sqrt(0 * logits)


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mim", "apgd_ce"])
def test_a_gradient_that_is_not_finite_is_refused(attack: str) -> None:
    model, batch = NoGradient().eval(), batch_of(3)
    assert model(batch.clip).isfinite().all()
    threat = suite(0.1)["audiovisual"]
    generators = [torch.Generator().manual_seed(i) for i in range(3)]
    with pytest.raises(ValueError, match="is not finite for a clip"):
        build_short(attack)(model, batch.clip, batch.label, threat, generators=generators)


def test_an_attack_without_gradients_takes_such_a_model() -> None:
    model, batch = NoGradient().eval(), batch_of(3)
    generators = [torch.Generator().manual_seed(i) for i in range(3)]
    threat = suite(0.1)["audiovisual"]
    build_short("square")(model, batch.clip, batch.label, threat, generators=generators)
