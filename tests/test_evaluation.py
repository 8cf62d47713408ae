from collections.abc import Callable
from typing import Any, final

import pytest
import torch
from torch import nn

from avrobust.attacks.base import Attack
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.mim_released import MIMReleased
from avrobust.attacks.outputs import InvalidOutputError
from avrobust.attacks.pgd import PGD
from avrobust.attacks.problem import Problem
from avrobust.evaluation.checks import BudgetExceededError
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.threats import Threat, suite
from avrobust.types import Batch, Classifier, Clip, Record
from tests.support import batch_of, model_for


@final
class Cheat(Attack):
    """Claims to be bounded and is not."""

    def perturb(self, problem: Problem) -> Clip:
        return problem.clip._replace(audio=(problem.clip.audio + 0.5).clamp(-1, 1))


def test_an_attack_that_leaves_its_budget_is_refused() -> None:
    with pytest.raises(
        BudgetExceededError,
        match=r"Cheat left its budget on clip clip/0: audio eps 0.01, visual untou",
    ):
        evaluate(model_for(), [batch_of(2)], Cheat(), {"audio": suite(0.01)["audio"]})


def test_an_attack_that_touches_the_other_modality_is_refused() -> None:
    with pytest.raises(BudgetExceededError):
        evaluate(model_for(), [batch_of(2)], Cheat(), {"visual": suite(0.9)["visual"]})


def test_the_unbounded_attack_is_let_through_and_measured() -> None:
    records = evaluate(model_for(), [batch_of(4)], MIMReleased(), suite(0.01))
    joint = [r for r in records if r.condition == "audiovisual"]
    # 10 steps of eps / 8, and up to eps more a step where a pixel is below the mean: 1.25 and 11.25
    # eps.
    assert max(r.audio_distance for r in joint) == pytest.approx(0.0125, rel=1e-3)
    assert max(r.visual_distance for r in joint) == pytest.approx(0.1125, rel=1e-3)


def test_records_name_every_clip_and_condition() -> None:
    batch = batch_of(5)
    records = evaluate(model_for(), [batch], FGSM(), suite(0.01))
    assert sorted((r.key, r.condition) for r in records) == sorted(
        (key, condition)
        for key in batch.key
        for condition in ("clean", "audio", "visual", "audiovisual")
    )
    assert all(
        r.audio_distance == 0 and r.visual_distance == 0 for r in records if r.condition == "clean"
    )
    assert all(r.visual_distance == 0 for r in records if r.condition == "audio")
    assert all(
        r.audio_distance == pytest.approx(0.01, rel=1e-3) for r in records if r.condition == "audio"
    )


def test_records_are_what_the_model_says() -> None:
    batch, model = batch_of(5), model_for()
    with torch.no_grad():
        logits = model(batch.clip)
    for i, record in enumerate(evaluate(model, [batch])):
        assert record.label == batch.label[i]
        assert record.prediction == logits[i].argmax()
        assert record.correct == (record.label == record.prediction)
        assert record.confidence == pytest.approx(float(logits[i].softmax(0).max()))
        assert record.loss == pytest.approx(
            float(-logits[i].log_softmax(0)[batch.label[i]]), rel=1e-4
        )


def test_batch_size_changes_no_verdict() -> None:
    model, batch = model_for(), batch_of(6)
    parts = [
        Batch(
            Clip(*(x[i : i + 1] for x in batch.clip)), batch.label[i : i + 1], batch.key[i : i + 1]
        )
        for i in range(6)
    ]
    attack = PGD(3, random_start=True)
    whole, split = (evaluate(model, batches, attack, suite(0.03)) for batches in ([batch], parts))
    by_name = {(r.key, r.condition): r for r in split}
    for record in whole:
        other = by_name[record.key, record.condition]
        assert (record.prediction, record.correct) == (other.prediction, other.correct)
        assert record.loss == pytest.approx(other.loss, rel=1e-2, abs=1e-3)


def test_seed_moves_random_starts_and_nothing_else() -> None:
    model, batch = model_for(), batch_of(4)
    runs = [
        evaluate(model, [batch], PGD(1, random_start=True), suite(0.05), seed=s) for s in (0, 0, 1)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert [r for r in runs[0] if r.condition == "clean"] == [
        r for r in runs[2] if r.condition == "clean"
    ]


def test_the_model_keeps_its_mode() -> None:
    model = model_for().train()
    evaluate(model, [batch_of(2)], FGSM(), suite(0.01))
    assert model.training


@pytest.mark.parametrize(
    "broken",
    [
        batch_of(1).clip._replace(audio=torch.full((1, 1, 4096), 1.5)),
        batch_of(1).clip._replace(visual=torch.full((1, 1, 3, 32, 32), float("nan"))),
        batch_of(1).clip._replace(visual=torch.full((1, 1, 3, 32, 32), 255.0)),
    ],
)
def test_invalid_clips_are_refused(broken: Clip) -> None:
    with pytest.raises(ValueError, match=r"clip clip/0: its .* is not finite or not within"):
        evaluate(model_for(), [batch_of(1)._replace(clip=broken)])


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(ValueError, match="no clip to evaluate"):
        evaluate(model_for(), [])


@final
class Returns(nn.Module):
    """A model that spoils the logits of another one."""

    def __init__(self, spoil: Callable[[Clip, torch.Tensor], object]) -> None:
        super().__init__()
        self.model, self.spoil = model_for(), spoil

    def forward(self, clip: Clip) -> Any:
        return self.spoil(clip, self.model(clip))


def nan_for_second(clip: Clip, logits: torch.Tensor) -> torch.Tensor:
    return logits.index_fill(0, torch.tensor([1]), torch.nan)


def infinite_for_loud(clip: Clip, logits: torch.Tensor) -> torch.Tensor:
    """Clean clips of `batch_of` have no sample of 1, adversarial ones do."""
    loud = clip.audio.amax((1, 2)) >= 1
    return torch.where(loud.unsqueeze(1), torch.inf, logits)


def test_logits_that_are_not_finite_are_refused_with_clip_and_condition() -> None:
    reason = r"logits that are not finite for clip clip/1 under the condition clean: no accuracy"
    with pytest.raises(InvalidOutputError, match=reason):
        evaluate(Returns(nan_for_second), [batch_of(3)])
    reason = r"not finite for clip clip/0 \(3 of 3 clips of its batch\) under the condition audio"
    with pytest.raises(InvalidOutputError, match=reason):
        evaluate(Returns(infinite_for_loud), [batch_of(3)], FGSM(), suite(0.1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda clip, logits: logits[:, 0], r"float32 of shape \(3,\)"),
        (lambda clip, logits: logits[0], r"float32 of shape \(3,\)"),
        (lambda clip, logits: logits.unsqueeze(2), r"float32 of shape \(3, 3, 1\)"),
        (lambda clip, logits: logits[:2], r"float32 of shape \(2, 3\)"),
        (lambda clip, logits: logits[:, :1], r"float32 of shape \(3, 1\)"),
        (lambda clip, logits: logits.long(), r"int64 of shape \(3, 3\)"),
        (lambda clip, logits: (logits, logits), r"a tuple, expected logits \(3, classes\)"),
    ],
)
def test_logits_of_a_wrong_shape_or_type_are_refused_in_one_line(
    spoil: Callable[[Clip, torch.Tensor], object], reason: str
) -> None:
    batch, model = batch_of(3), Returns(spoil)
    audio = suite(0.1)["audio"]
    runs: list[Callable[[], object]] = [
        lambda: evaluate(model, [batch]),
        lambda: PGD(1)(model, batch.clip, batch.label, audio),
        lambda: attack_problem_logits(model, batch),
    ]
    for run in runs:
        with pytest.raises(InvalidOutputError, match=f"^the model returned {reason}[^\n]*$"):
            run()


def attack_problem_logits(model: Classifier, batch: Batch) -> object:
    """What an attack that looks at logits alone sees."""
    return Problem(model, batch.clip, batch.label, suite(0.1)["audio"]).logits(batch.clip)


@pytest.mark.parametrize("plain", [False, True], ids=["classifier", "callable"])
@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ([0, 1, 3], "clip clip/2: label 3 is not within 0 to 2"),
        ([0, -1, 2], "clip clip/1: label -1 is not within 0 to 2"),
        ([0.0, 1.0, 2.0], r"labels are float32 of shape \(3,\), expected int64 of shape \(3,\)"),
        ([[0], [1], [2]], r"labels are int64 of shape \(3, 1\), expected int64 of shape \(3,\)"),
        ([0, 1], r"labels are int64 of shape \(2,\), expected int64 of shape \(3,\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused_in_one_line(
    label: list[int], reason: str, plain: bool
) -> None:
    model = Returns(lambda clip, logits: logits) if plain else model_for()
    if plain:
        reason = reason.replace("0 to 2", ".*")
    with pytest.raises(InvalidOutputError, match=f"^{reason}$"):
        evaluate(model, [batch_of(3)._replace(label=torch.tensor(label))], FGSM(), suite(0.1))


def test_a_model_that_changes_its_number_of_classes_is_refused() -> None:
    calls: list[int] = []

    def growing(clip: Clip, logits: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return logits.repeat(1, len(calls))

    with pytest.raises(InvalidOutputError, match="logits of 6 classes for clip clip/0, and of 3"):
        evaluate(Returns(growing), [batch_of(3), batch_of(3)])


def test_summary() -> None:
    def row(condition: str, correct: bool) -> Record:
        return Record("k", condition, 0, 0, correct, 1.0, 0.0, 0.0, 0.0)  # type: ignore[arg-type]

    counts = {"clean": 4, "audio": 3, "visual": 2, "audiovisual": 0}
    summary = summarize(row(c, i < k) for c, k in counts.items() for i in range(4))
    assert summary.n == 4
    assert summary.accuracy == {"clean": 100.0, "audio": 75.0, "visual": 50.0, "audiovisual": 0.0}
    assert summary.interval["audio"] == pytest.approx((30.06, 95.44), abs=0.01)  # Wilson, 3 of 4


class Small:
    """A model for which more than `most` clips are too many."""

    def __init__(self, most: int) -> None:
        self.model, self.most, self.asked = model_for(), most, list[int]()

    def __call__(self, clip: Clip) -> torch.Tensor:
        self.asked.append(len(clip.audio))
        if len(clip.audio) > self.most:
            raise torch.OutOfMemoryError
        return self.model(clip)  # type: ignore[no-any-return]


def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same_records() -> None:
    batches, threats = [batch_of(7), batch_of(5, seed=1)], suite(0.02)
    whole = evaluate(Small(100), batches, FGSM(), threats)
    small = Small(3)
    halved = evaluate(small, batches, FGSM(), threats)
    assert [(r.key, r.condition, r.correct) for r in halved] == [
        (r.key, r.condition, r.correct) for r in whole
    ]
    assert [count for count in small.asked if count > 3] == [
        7
    ]  # neither half of 4, nor the next batch of 5, is tried


def test_a_single_clip_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(Small(0), [batch_of(2)])


@pytest.mark.parametrize(
    ("attack", "threats", "missing"),
    [(FGSM(), None, "a suite"), (FGSM(), {}, "a suite"), (None, suite(0.01), "an attack")],
)
def test_an_attack_without_a_threat_is_refused_and_so_is_the_reverse(
    attack: FGSM | None, threats: dict[str, Threat] | None, missing: str
) -> None:
    with pytest.raises(ValueError, match=f"belong together: {missing} is missing"):
        evaluate(model_for(), [batch_of(2)], attack, threats)
