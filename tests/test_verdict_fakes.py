"""Does the verdict see gradients that are alive and wrong, and leave honest models alone?"""

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from avrobust.analyses.verdict.compute import judge
from avrobust.attacks.av_auto import AVAuto
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import summarize
from avrobust.experiments.results import VerdictResult
from avrobust.threats import Threat, audio_budget, suite, visual_budget
from avrobust.types import Batch, Clip
from tests.fakes import FAKES, Fake, at_input, rewritten
from tests.spoiling import Rewrite, half_of_the_clips, weakest_reversed
from tests.support import model_for
from tests.tiny import EPS, THREATS, tones_and_patches, trained
from tests.verdict_table import BROAD, COUNTS, FAMILIES, Line, tiny_lines

BATCH = tones_and_patches(16, seed=1)
PLANTED = {planted.name: planted for planted in FAKES}
# One or more of each kind, as the whole family takes minutes.
SOME = (
    "audio_detached",
    "audio_sign_flipped",
    "audio_low_pass_straight",
    "audio_half_of_the_clips",
    "visual_mirror_straight",
    "visual_right_on_files",
    "joint_only",
    "doubtful_reversed",
    "hard_labels",
)


def honest() -> nn.Module:
    return trained(adversarially=False)


@pytest.mark.parametrize("name", SOME)
def test_gradients_that_are_alive_and_wrong_are_seen(name: str) -> None:
    spoils = PLANTED[name].spoils
    condition = "audiovisual" if spoils == "both" else spoils
    verdict = judge(PLANTED[name].make(honest()), [BATCH], {condition: BROAD[condition]})
    assert not verdict.trusted
    assert any("predicts changes of the loss" in reason for reason in verdict.reasons)


def weak_reversed_on_half_of_the_clips(gradient: Tensor, x: Tensor) -> Tensor:
    """Right for the clips whose first half is the stronger one."""
    right = half_of_the_clips(torch.ones_like(gradient), x) > 0
    return torch.where(right, gradient, weakest_reversed(gradient, x))


@pytest.mark.parametrize("rewrite", [weakest_reversed, weak_reversed_on_half_of_the_clips])
def test_weak_coordinates_with_the_wrong_sign_are_seen(rewrite: Rewrite) -> None:
    """From 40 clips on random directions agree with them as well as with an honest model."""
    fake = rewritten("audio", rewrite).make(honest())
    batch, threats = tones_and_patches(40, seed=1), {"audio": BROAD["audio"]}
    assert not judge(fake, [batch], threats).trusted


@pytest.mark.slow  # ten minutes: each fake is attacked twice and judged, at three counts
@pytest.mark.parametrize("count", COUNTS)
def test_no_failed_attack_is_trusted_and_no_honest_model_accused(count: int) -> None:
    wrong = [line for line in tiny_lines([count], fakes=True) if line.wrong]
    assert not wrong, "\n".join(str(line) for line in wrong)


def test_the_table_knows_a_trusted_failure() -> None:
    line = Line("fake", 16, "audio", 75.0, 25.0, False, ("audio: why",))
    assert not line.wrong
    assert line._replace(trusted=True).wrong
    assert not line._replace(trusted=True, left=30.0).wrong
    assert line._replace(name="honest model").wrong


@pytest.mark.parametrize("name", FAMILIES)
def test_honest_models_of_every_family_have_the_right_gradients(name: str) -> None:
    """Random weights do: whether a gradient is right does not depend on training."""
    overrides = [one for one in FAMILIES[name] if one != "defense=adversarial_fast"]
    model, batch = model_for(*overrides, classes=4), tones_and_patches(8, seed=1)
    with torch.no_grad():
        labeled = batch._replace(label=model(batch.clip).argmax(1))
    verdict = judge(model, [labeled], {"audiovisual": THREATS["audiovisual"]})
    assert not [reason for reason in verdict.reasons if "predicts changes" in reason]


def test_bfloat16_is_not_taken_for_a_wrong_gradient() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        verdict = judge(honest(), [BATCH], BROAD)
        spoiled = judge(
            PLANTED["audio_detached"].make(honest()), [BATCH], {"audio": BROAD["audio"]}
        )
    assert verdict.trusted, verdict.reasons
    assert not spoiled.trusted


def noise_of_the_sound(scale: float) -> Callable[[Tensor], Tensor]:
    """Noise whose seed is a hash of each sound, so that the same clip gives the same answer."""

    def noisy(audio: Tensor) -> Tensor:
        draws = []
        for sound in audio.detach():
            digest = hashlib.sha256(sound.numpy().tobytes()).digest()
            rng = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
            draws.append(torch.randn(sound.shape, generator=rng))
        return audio + scale * torch.stack(draws)

    return noisy


def with_seeded_noise(inner: nn.Module, scale: float) -> Fake:
    return Fake(inner, at_input("audio", noise_of_the_sound(scale)))


def test_noise_seeded_by_the_input_does_not_hide_whether_gradients_are_right() -> None:
    threats: dict[str, Threat] = {"audio": BROAD["audio"]}
    batch = tones_and_patches(8, seed=1)
    noisy = judge(with_seeded_noise(honest(), 0.01), [batch], threats)
    assert noisy.trusted, noisy.reasons
    spoiled = PLANTED["audio_sign_flipped"].make(honest())
    assert not judge(with_seeded_noise(spoiled, 0.01), [batch], threats).trusted


class Scaled(nn.Module):
    """Logits times a number, which changes no prediction."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.model, self.scale = trained(adversarially=False), scale

    def forward(self, clip: Clip) -> Tensor:
        logits: Tensor = self.scale * self.model(clip)
        return logits


def test_a_loss_that_saturates_is_no_harm_where_the_attack_reached_the_truth() -> None:
    threats: dict[str, Threat] = {"visual": BROAD["visual"]}
    attack = AVAuto(steps=10, targets=1, queries=1)
    for scale in (30.0, 1e4):
        model = Scaled(scale)
        records = evaluate(model, [BATCH], attack, threats)
        truth = summarize(evaluate(honest(), [BATCH], attack, threats)).accuracy["visual"]
        assert summarize(records).accuracy["visual"] == truth
        verdict = judge(model, [BATCH], threats, records)
        assert verdict.trusted, verdict.reasons
    assert "16 clips have a zero" in verdict.checks["visual"]["loss"]
    failed = [record._replace(correct=True) for record in records]
    assert not judge(model, [BATCH], threats, failed).trusted


def rounded(levels: int) -> Callable[[Clip], Tensor]:
    """The model behind frames rounded to a number of levels."""
    model = honest()

    def forward(clip: Clip) -> Tensor:
        logits: Tensor = model(clip._replace(visual=(clip.visual * levels).round() / levels))
        return logits

    return forward


def as_files(batch: Batch) -> Batch:
    """The clips as decoded files have them: frames in steps of 1/255."""
    visual = (batch.clip.visual * 255).round() / 255
    return batch._replace(clip=batch.clip._replace(visual=visual))


def test_a_budget_of_nothing_leaves_nothing_to_judge() -> None:
    verdict = judge(honest(), [BATCH], suite(0.0))
    assert verdict.trusted
    assert verdict.unjudged == {
        "audio": "eps is 0",
        "visual": "eps is 0",
        "audiovisual": "eps is 0",
    }


def test_a_budget_that_rounding_erases_leaves_nothing_to_judge() -> None:
    batch, model = as_files(BATCH), rounded(255)
    paper = Threat(audio_budget(3 * EPS), visual_budget(0.006))
    verdict = judge(model, [batch], {"visual": paper.only(("visual",)), "audiovisual": paper})
    assert verdict.trusted, verdict.reasons
    reason = "nothing tried in the budget changes the output for any of 16 clips"
    assert verdict.unjudged == {"visual": reason}
    assert "audio differences" in verdict.checks["audiovisual"]
    assert "visual differences" not in verdict.checks["audiovisual"]


def test_dead_gradients_are_suspicious_where_the_output_does_change() -> None:
    batch = as_files(BATCH)
    wide = {"visual": Threat(visual=visual_budget(0.06))}
    verdict = judge(rounded(255), [batch], wide)
    assert not verdict.unjudged
    assert "visual: 16 of 16 clips have a zero or non-finite gradient" in verdict.reasons[0]


def test_equal_logits_are_not_taken_for_an_output_that_cannot_change() -> None:
    model = honest()

    def labels_alone(clip: Clip) -> Tensor:
        logits = model(clip)
        hard = nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()
        return hard + 0 * logits

    verdict: VerdictResult = judge(labels_alone, [BATCH], {"audio": THREATS["audio"]})
    assert not verdict.trusted
    assert not verdict.unjudged
