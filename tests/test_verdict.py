"""Does the verdict find defenses that only hide their gradients, in either modality?

And does it leave honest models alone?
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avrobust.analyses.verdict.checks import Context, probe_checks
from avrobust.analyses.verdict.compute import judge
from avrobust.analyses.verdict.probe import Probe
from avrobust.attacks.av_auto import AVAuto
from avrobust.attacks.base import Attack
from avrobust.attacks.eot import EoT
from avrobust.attacks.pgd import PGD
from avrobust.attacks.square import Square
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import by_condition, success_by_attack, summarize
from avrobust.experiments.result_files import write_result
from avrobust.experiments.results import VerdictResult
from avrobust.report.load import load
from avrobust.report.notes import notes
from avrobust.report.rows import rows
from avrobust.threats import Threat, suite
from avrobust.types import Clip, Record
from tests.results import evaluation_result, evaluations
from tests.support import attack, experiment_for, model_for, run_script
from tests.tiny import EPS, THREATS, tones_and_patches, trained

BATCH = tones_and_patches(16, seed=1)
BROAD = suite(
    EPS, audio=3.0, visual=2.0, units="pixel"
)  # breaks the undefended model through either modality
Change = Callable[[Tensor], Tensor]


def planted(
    modality: str, change: Change, of_logits: Change = lambda z: z
) -> Callable[[Clip], Tensor]:
    """The undefended model with something in the way of an attacker's gradient."""
    model = trained(adversarially=False)

    def forward(clip: Clip) -> Tensor:
        changed = clip._replace(**{modality: change(getattr(clip, modality))})
        return of_logits(model(changed))

    return forward


def quantized(x: Tensor) -> Tensor:
    return (x * 8).round() / 8


def noise() -> Change:
    rng = torch.Generator().manual_seed(0)
    return lambda x: x + 0.12 * torch.randn(x.shape, generator=rng)


def saturated(z: Tensor) -> Tensor:
    return 1e4 * z


def pgd(model: Callable[[Clip], Tensor], threats: dict[str, Threat], condition: str) -> float:
    return summarize(evaluate(model, [BATCH], PGD(20), {condition: threats[condition]})).accuracy[
        condition
    ]


PLANTED: dict[str, tuple[Callable[[], Change], Change, str]] = {
    "saturated logits": (lambda: lambda x: x, saturated, "have a zero or non-finite gradient"),
    "quantized input": (lambda: quantized, lambda z: z, "have a zero or non-finite gradient"),
    "noise at inference": (noise, lambda z: z, "asked twice, it answers differently"),
}


@pytest.mark.parametrize("modality", ["audio", "visual"])
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defense_that_pgd_calls_robust_is_unmasked(name: str, modality: str) -> None:
    make, of_logits, sign = PLANTED[name]
    model = planted(modality, make(), of_logits)
    assert pgd(model, BROAD, modality) >= pgd(trained(adversarially=False), BROAD, modality) + 25
    verdict = judge(model, [BATCH], {modality: BROAD[modality]})
    assert not verdict.trusted
    assert any(sign in reason for reason in verdict.reasons)


def test_averaging_over_draws_gets_through_noise() -> None:
    threats: dict[str, Threat] = {"audio": BROAD["audio"]}

    def left(attack: Attack) -> float:
        return summarize(evaluate(planted("audio", noise()), [BATCH], attack, threats)).accuracy[
            "audio"
        ]

    assert left(EoT(PGD(10, 0.25), 8)) <= left(PGD(10, 0.25)) - 20


def test_one_draw_is_the_attack_itself_and_a_loss_of_its_own_is_refused() -> None:
    model, threat = trained(adversarially=False), BROAD["audiovisual"]
    plain, averaged = (a(model, BATCH.clip, BATCH.label, threat) for a in (PGD(3), EoT(PGD(3), 1)))
    assert all(torch.equal(x, y) for x, y in zip(plain, averaged, strict=True))
    with pytest.raises(UserError, match="Square maximizes a loss of its own"):
        EoT(Square(5))


def test_av_auto_breaks_what_only_saturates() -> None:
    model, threats = planted("visual", lambda x: x, saturated), {"visual": BROAD["visual"]}
    records = evaluate(model, [BATCH], AVAuto(steps=10, targets=1, queries=1), threats)
    assert summarize(records).accuracy["visual"] <= 25
    assert set(success_by_attack(by_condition(records)["visual"])) == {"apgd_t"}


def test_only_the_masked_modality_is_accused() -> None:
    other: dict[str, Threat] = {"audio": BROAD["audio"]}
    assert judge(planted("visual", quantized), [BATCH], other).trusted


@pytest.mark.parametrize("adversarially", [True, False])
def test_an_honest_model_is_not_accused(adversarially: bool) -> None:
    model, threats = trained(adversarially=adversarially), THREATS if adversarially else BROAD
    records = evaluate(model, [BATCH], PGD(20), threats)
    verdict = judge(model, [BATCH], threats, records)
    assert verdict == VerdictResult(True, (), verdict.checks)
    assert list(verdict.checks) == ["model", "audio", "visual", "audiovisual"]
    if adversarially:
        assert summarize(records).accuracy["visual"] >= 50


def test_budgets_by_signal_to_noise_ratio_are_judged_as_well() -> None:
    threats = suite(2.0, units="pixel", norm="l2", snr=20.0)
    assert judge(trained(adversarially=False), [BATCH], threats).trusted
    assert not judge(planted("audio", quantized), [BATCH], threats).trusted


def test_a_modality_that_the_model_ignores_is_not_judged() -> None:
    verdict = judge(model_for("fusion=audio_only", classes=4), [BATCH], THREATS)
    assert "visual" not in verdict.checks


def test_a_model_that_recognizes_nothing_is_not_trusted() -> None:
    wrong = BATCH._replace(label=(BATCH.label + 1) % 4)
    verdict = judge(trained(adversarially=False), [wrong], BROAD)
    assert verdict.reasons == ("model: it recognizes 0 of the clips looked at",)


def record(correct: bool, by: str = "") -> Record:
    return Record("k", "audio", 0, 0, correct, 1.0, 0.0, 0.0, 0.0, by)


def test_a_black_box_or_a_transferred_clip_that_beats_gradients_is_suspicious() -> None:
    model, threats = trained(adversarially=True), {"audio": THREATS["audio"]}
    few = [record(False, "apgd_ce")] * 5 + [record(True)] * 5
    assert judge(model, [BATCH], threats, few, context=Context(transfer={"audio": 60.0})).trusted
    square = judge(model, [BATCH], threats, [record(False, "square")] * 5 + [record(True)] * 5)
    assert square.reasons == ("audio: Square fooled 5 of 10 clips that gradients could not",)
    transfer = judge(model, [BATCH], threats, few, context=Context(transfer={"audio": 10.0}))
    assert transfer.reasons == (
        "audio: clips made on another model leave 1 of 10, those made on this one 5",
    )


def test_optimization_at_inference_wants_an_adaptive_attack() -> None:
    model, threats = trained(adversarially=True), {"audio": THREATS["audio"]}

    def verdict(adaptive: bool) -> VerdictResult:
        return judge(model, [BATCH], threats, context=Context(optimizes=True, adaptive=adaptive))

    assert verdict(True).trusted
    assert verdict(False).reasons == (
        "model: it optimizes at inference and was not attacked on what its defense declares, "
        "as defend.py does",
    )


def test_gradients_that_are_not_finite_are_seen() -> None:
    honest = trained(adversarially=False)

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(_: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(_: object, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return torch.full_like(gradient, torch.nan)

    verdict = judge(
        lambda clip: honest(clip._replace(audio=Broken.apply(clip.audio))), [BATCH], BROAD
    )
    assert any(
        "audio: 16 of 16 clips have a zero or non-finite" in reason for reason in verdict.reasons
    )
    assert not any(reason.startswith("visual") for reason in verdict.reasons)


def test_gradients_are_compared_with_the_best_replacement_and_not_with_all_of_them_together() -> (
    None
):
    def suspicious(replaced: Tensor) -> bool:
        nothing, fooled = torch.zeros(10, dtype=torch.bool), torch.arange(10) < 7
        losses = torch.tensor([[0.0, 1.0, 2.0]]).expand(10, 3)
        probe = Probe(
            dead=nothing,
            saturated=nothing,
            one_step=nothing,
            many_steps=fooled,
            own_loss=fooled,
            noise=nothing,
            whole_range=fooled,
            replaced=replaced,
            losses=losses,
        )
        checks = probe_checks("visual", ("visual",), probe, 5)
        return {check.name: check.suspicious for check in checks}["whole range"]

    halves = torch.stack(
        [torch.arange(10) < 5, torch.arange(10) >= 5], 1
    )  # fool every clip only together
    assert not suspicious(halves)
    assert suspicious(torch.ones(10, 2, dtype=torch.bool))


def test_a_row_says_where_there_is_nothing_to_judge() -> None:
    def lines(*unjudged: str) -> list[str]:
        verdict = VerdictResult(True, (), {}, dict.fromkeys(unjudged, "eps is 0"))
        result = evaluation_result(experiment_for("attack"), (1, 1, 1, 1), verdict=verdict)
        return [note for note in notes(result) if note.startswith("verdict")]

    trusted = "verdict: trusted; no check found a sign of masked gradients"
    nothing = "verdict: nothing to judge under visual: eps is 0"
    assert lines() == [trusted]
    assert lines("visual") == [trusted, nothing]
    assert trusted not in lines("audio", "visual", "audiovisual")


def test_av_auto_ends_with_a_verdict(prepared: Path, tmp_path: Path) -> None:
    done = run_script(
        *attack(
            prepared, tmp_path, "attack=av_auto", "attack.steps=4", "attack.queries=10", "eps=0.02"
        )
    )
    assert done.returncode == 0, done.stderr
    assert (
        "unsupported: apgd_t, which compares 4 classes: the model has 3; apgd_dlr instead"
        in done.stdout
    )
    assert "verdict: " in done.stdout
    (result,) = evaluations(tmp_path)
    folder = tmp_path / "attack" / result.run_id
    with (folder / "examples.csv").open(newline="") as file:
        wrong = [row for row in csv.DictReader(file) if row["attack"]]
    counts = [sum(one.success_by_attack.values()) for one in result.conditions]
    assert len(wrong) == sum(counts)
    assert result.verdict is not None
    write_result(folder, replace(result, verdict=replace(result.verdict, trusted=False)))
    assert rows(load(tmp_path).entries)[0].trusted is False
