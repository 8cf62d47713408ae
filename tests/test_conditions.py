"""Conditions besides attacks: any set of them is evaluated; what a condition does is checked."""

from typing import final

import pytest
import torch

from avrobust.attacks.base import Outcome
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.pgd import PGD
from avrobust.evaluation.checks import InvalidConditionError
from avrobust.evaluation.conditions import Attacked, Clean, CleanBatch, Condition
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.threats import suite
from avrobust.types import Batch, Clip, ConditionInfo
from tests.results import STANDARD, evaluation_result
from tests.support import batch_of, experiment_for, model_for

MODEL, BATCH = model_for(), batch_of(5)


@final
class AudioMuted(Condition):
    """Silence in place of the sound."""

    name = "audio_muted"
    title = "mute"
    modalities = ("audio",)

    def apply(self, batch: CleanBatch) -> Outcome:
        return Outcome(batch.clip._replace(audio=torch.zeros_like(batch.clip.audio)))


@final
class Noise(Condition):
    """Random frames, from each clip's own generator."""

    name = "noise"
    title = "noise"
    modalities = ("visual",)

    def apply(self, batch: CleanBatch) -> Outcome:
        shape = batch.clip.visual.shape[1:]
        frames = [torch.rand(shape, generator=generator) for generator in batch.generators]
        return Outcome(batch.clip._replace(visual=torch.stack(frames)))


@final
class Planted(Condition):
    """Returns what it is told to, whatever it declares."""

    name = "planted"
    title = "planted"

    def __init__(self, changed: Clip, modalities: tuple[str, ...]) -> None:
        self.changed, self.modalities = changed, modalities  # type: ignore[assignment]

    def apply(self, batch: CleanBatch) -> Outcome:
        return Outcome(self.changed)


def test_a_condition_of_ones_own_is_evaluated_beside_the_attacks() -> None:
    seen: list[tuple[ConditionInfo, Clip]] = []
    records = evaluate(
        MODEL,
        [BATCH],
        FGSM(),
        suite(0.01),
        conditions=[AudioMuted()],
        observe=lambda batch, condition, clip: seen.append((condition, clip)),
    )
    names = ["clean", "audio", "visual", "audiovisual", "audio_muted"]
    assert [r.condition for r in records] == [name for name in names for _ in BATCH.key]
    muted = BATCH.clip._replace(audio=torch.zeros_like(BATCH.clip.audio))
    with torch.no_grad():
        predictions = MODEL(muted).argmax(1).tolist()
    own = [r for r in records if r.condition == "audio_muted"]
    assert [r.prediction for r in own] == predictions
    # Without a budget a change is measured by its largest value.
    largest = BATCH.clip.audio.abs().flatten(1).amax(1).tolist()
    assert [r.audio_distance for r in own] == largest
    assert all(r.visual_distance == 0 and r.gradients == 0 for r in own)
    assert seen[-1][0] == ConditionInfo("audio_muted", "mute", ("audio",), adversarial=False)
    assert not seen[-1][1].audio.any()


def test_a_condition_of_ones_own_changes_no_other_record() -> None:
    alone = evaluate(MODEL, [BATCH], PGD(2, random_start=True), suite(0.01))
    beside = evaluate(
        MODEL, [BATCH], PGD(2, random_start=True), suite(0.01), conditions=[AudioMuted()]
    )
    assert beside[: len(alone)] == alone
    whole, standard = summarize(beside), summarize(alone)
    assert list(whole.accuracy) == [*standard.accuracy, "audio_muted"]
    assert whole.n == standard.n


def test_averages_are_those_of_the_attacks() -> None:
    counts, muted = (104, 78, 52, 26), ConditionInfo("audio_muted", "mute", ("audio",), False)
    standard = evaluation_result(experiment_for("attack"), counts)
    beside = evaluation_result(
        experiment_for("attack"), (*counts, 13), conditions=(*STANDARD, muted)
    )
    for result in (standard, beside):
        assert result.average == 50.0
        assert result.average_with_clean == 62.5


def test_conditions_need_no_attack_and_draw_from_generators_of_their_own() -> None:
    first, again, other = (
        evaluate(MODEL, [BATCH], conditions=[Noise()], seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first[len(BATCH.key) :] != other[len(BATCH.key) :]
    halves = [
        Batch(Clip(*(x[i] for x in BATCH.clip)), BATCH.label[i], BATCH.key[i])
        for i in (slice(0, 2), slice(2, 5))
    ]
    split = evaluate(MODEL, halves, conditions=[Noise()])
    distances = {r.key: r.visual_distance for r in split if r.condition == "noise"}
    assert distances == {r.key: r.visual_distance for r in first if r.condition == "noise"}


LOUD = BATCH.clip._replace(audio=BATCH.clip.audio * 3)
NAN = BATCH.clip._replace(audio=torch.full_like(BATCH.clip.audio, torch.nan))
TOUCHED = BATCH.clip._replace(visual=(BATCH.clip.visual + 1e-6).clamp(0, 1))


@pytest.mark.parametrize(
    ("changed", "modalities", "message"),
    [
        (LOUD, ("audio",), "made the audio of clip clip/0 not finite or not within"),
        (NAN, ("audio",), "made the audio of clip clip/0 not finite or not within"),
        (TOUCHED, ("audio",), "changed the visual, which planted declares untouched"),
        (TOUCHED, (), "changed the visual, which planted declares untouched"),
    ],
    ids=["out of range", "NaN", "the other modality", "nothing declared"],
)
def test_a_condition_that_does_what_it_does_not_declare_is_refused(
    changed: Clip, modalities: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidConditionError, match=f"condition planted {message}"):
        evaluate(MODEL, [BATCH], conditions=[Planted(changed, modalities)])


def test_a_second_attack_is_a_condition_as_well() -> None:
    strong = Attacked("strong", PGD(3), suite(0.05)["audiovisual"])
    records = evaluate(MODEL, [BATCH], FGSM(), suite(0.01), conditions=[strong])
    alone = evaluate(MODEL, [BATCH], PGD(3), {"strong": suite(0.05)["audiovisual"]})
    assert [r for r in records if r.condition == "strong"] == alone[len(BATCH.key) :]
    assert strong.info == ConditionInfo("strong", "xAV", ("audio", "visual"), adversarial=True)


def test_the_standard_conditions_are_those_of_a_suite() -> None:
    attacked = [Attacked(name, FGSM(), threat) for name, threat in suite(0.01).items()]
    infos = [condition.info for condition in (Clean(), *attacked)]
    assert tuple(infos) == STANDARD
    assert [info.clean for info in infos] == [True, False, False, False]


def test_an_attack_without_a_suite_is_no_clean_evaluation() -> None:
    with pytest.raises(ValueError, match="a suite is missing"):
        evaluate(MODEL, [BATCH], FGSM())
    with pytest.raises(ValueError, match="an attack is missing"):
        evaluate(MODEL, [BATCH], None, suite(0.01))


@final
class Declared(Condition):
    """Noise that calls itself an attack."""

    adversarial = True
    name, title, modalities = "declared", "declared", ("audio",)

    def apply(self, batch: CleanBatch) -> Outcome:
        return Outcome(batch.clip)


def test_a_condition_that_is_no_attack_does_not_count_as_one() -> None:
    reason = "condition declared: adversarial, and yet no attack under a threat"
    with pytest.raises(ValueError, match=reason):
        evaluate(MODEL, [BATCH], conditions=[Declared()])


def test_two_conditions_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two conditions have the name 'audio_muted'"):
        evaluate(MODEL, [BATCH], conditions=[AudioMuted(), AudioMuted()])


class InPlace(Condition):
    """Darkens the frames that it was given, though it declares the sound alone."""

    name, title, modalities = "in place", "in place", ("audio",)

    def apply(self, batch: CleanBatch) -> Outcome:
        batch.clip.visual.mul_(0.5)
        return Outcome(batch.clip)


def test_a_condition_that_works_in_place_is_measured_against_the_clean_clips() -> None:
    before = BATCH.clip.visual.clone()
    with pytest.raises(InvalidConditionError, match="changed the visual"):
        evaluate(MODEL, [BATCH], conditions=[InPlace()])
    assert torch.equal(BATCH.clip.visual, before)
