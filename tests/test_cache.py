"""The fast path of an evaluation: the numbers of the plain one, for fewer passes."""

from collections import Counter

import pytest
import torch

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import cross_entropy
from avrobust.attacks.losses import WithCosine
from avrobust.evaluation.evaluate import evaluate
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.threats import suite
from avrobust.types import Batch, Clip, Record
from tests.support import batch_of, built, model_for, options

SUITE = suite(0.02, visual=8.0)
TWICE = suite(0.02, visual=8.0, single_modality_factor=2.0)


def plain(model: AVClassifier) -> object:
    """The same model as a callable whose parts nobody knows."""

    def call(clip: Clip) -> torch.Tensor:
        return model(clip)  # type: ignore[no-any-return]

    return call


CASES = [
    ("fgsm", "none"),
    ("pgd", "none"),
    ("mim", "none"),
    ("fgsm", "minsim_exfmem"),
    ("pgd", "unimodal_audio"),
]


@pytest.mark.parametrize(("name", "defense"), CASES)
@pytest.mark.parametrize("threats", [SUITE, TWICE], ids=["same eps", "twice alone"])
def test_the_records_are_those_of_the_plain_path(name: str, defense: str, threats: dict) -> None:
    model, attack = model_for(f"defense={defense}"), built("attack", name)
    batches = [batch_of(6), batch_of(6, seed=1)]
    ours = evaluate(model, batches, attack, threats)
    theirs = evaluate(plain(model), batches, attack, threats)  # type: ignore[arg-type]
    for a, b in zip(ours, theirs, strict=True):
        assert a[:5] == b[:5]
        assert a.loss == pytest.approx(b.loss, rel=1e-4, abs=1e-5)
        # A modality that the model does not look at stays as it is where that is known.
        if "unimodal" not in defense:
            assert a.audio_distance == pytest.approx(b.audio_distance, abs=1e-6)


def counted() -> tuple[Counter[str], AVClassifier]:
    """How often each encoder of a model is asked, and how often it is differentiated."""
    model, found = model_for(), Counter[str]()
    for name in ("audio", "visual"):
        encoder = getattr(model, name)

        def count(module: object, given: object, made: torch.Tensor, name: str = name) -> None:
            found[name] += 1
            found[f"{name} differentiated"] += made.requires_grad

        encoder.register_forward_hook(count)
    return found, model


def passes(attack: Attack, threats: object) -> tuple[Counter[str], list[Record]]:
    """For one batch."""
    found, model = counted()
    return found, evaluate(model, [batch_of(4)], attack, threats)  # type: ignore[arg-type]


def test_a_suite_of_fgsm_takes_one_gradient_and_one_more_pass() -> None:
    found, _ = passes(built("attack", "fgsm"), SUITE)
    assert found == {"audio": 2, "audio differentiated": 1, "visual": 2, "visual differentiated": 1}


def test_other_budgets_share_the_gradient_alone() -> None:
    found, _ = passes(built("attack", "fgsm"), TWICE)
    assert found == {"audio": 3, "audio differentiated": 1, "visual": 3, "visual differentiated": 1}


@pytest.mark.parametrize(
    ("name", "defense"), [("fgsm", "none"), ("fgsm", "exfmem"), ("pgd", "unimodal_audio")]
)
def test_what_is_known_from_another_eps_changes_no_record(name: str, defense: str) -> None:
    model, attack, cache = model_for(f"defense={defense}"), built("attack", name), {}
    batches = [
        batch_of(4),
        Batch(batch_of(3, seed=1).clip, batch_of(3, seed=1).label, ("x", "y", "z")),
    ]
    for eps in (0.02, 0.005):
        for objective in (
            (cross_entropy, WithCosine(1.0)) if defense == "none" else (cross_entropy,)
        ):
            threats = suite(eps, visual=8.0)
            ours = evaluate(model, batches, attack, threats, objective=objective, cache=cache)
            assert ours == evaluate(model, batches, attack, threats, objective=objective)


def test_another_eps_takes_no_gradient_and_one_pass() -> None:
    (found, model), cache = counted(), {}  # type: ignore[var-annotated]
    batch = batch_of(4)
    for done, eps in enumerate((0.01, 0.02, 0.03), start=2):
        evaluate(model, [batch], built("attack", "fgsm"), suite(eps), cache=cache)
        assert found == {
            "audio": done,
            "audio differentiated": 1,
            "visual": done,
            "visual differentiated": 1,
        }


def test_pgd_differentiates_the_attacked_branch_and_the_clean_clips_once() -> None:
    found, _ = passes(built("attack", "pgd"), SUITE)
    assert found["audio differentiated"] == found["visual differentiated"] == 1 + 9 + 9
    assert found["audio"] == found["visual"] == 1 + 9 + 9 + 2


def test_a_random_start_asks_nothing_about_the_clean_clips() -> None:
    found, _ = passes(built("attack", "pgd", random_start=True), SUITE)
    assert found["audio differentiated"] == 10 + 10


@pytest.mark.parametrize(
    "option", [(g, o) for g in ("audio", "visual") for o in options(g)], ids="=".join
)
def test_a_folded_encoder_gives_the_same_embeddings(option: tuple[str, str]) -> None:
    model, clip = model_for(), batch_of(6).clip
    encoder, x = built(*option), getattr(clip, option[0])
    encoder.train()(x)
    model.audio, model.visual = (encoder, None) if option[0] == "audio" else (None, encoder)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    quick = getattr(folded(model), option[0])
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in quick.modules())
    with torch.no_grad():
        torch.testing.assert_close(quick(x), encoder.eval()(x), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_folding_turns_no_verdict() -> None:
    model, attack = model_for(), built("attack", "pgd")
    ours, theirs = (evaluate(m, [batch_of(12)], attack, SUITE) for m in (folded(model), model))
    assert [r.correct for r in ours] == [r.correct for r in theirs]
