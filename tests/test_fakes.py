"""The planted fakes predict as the honest model does, and their gradients are alive and wrong."""

import pytest
import torch
from torch import Tensor

from avrobust.attacks.gradients import cross_entropy, value_and_grad
from avrobust.attacks.pgd import PGD
from avrobust.models.classifier import AVClassifier
from avrobust.threats import suite
from avrobust.types import MODALITIES, Batch, Clip
from tests.fakes import FAKES, Fake, Planted
from tests.support import batch_of, clip_of, model_for

EVERY_FAKE = pytest.mark.parametrize("planted", FAKES, ids=[planted.name for planted in FAKES])
CONDITIONS = {"audio": "audio", "visual": "visual", "both": "audiovisual"}
COARSE = ("hard_labels", "margin_clamped")  # only the order of their logits is the model's


@pytest.fixture(scope="module")
def model() -> AVClassifier:
    return model_for(classes=5)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return batch_of(8, seed=3, classes=5)


def gradients(model: torch.nn.Module, batch: Batch) -> Clip:
    return value_and_grad(model, cross_entropy, batch.clip, batch.label, MODALITIES).gradient


def gain(true: Tensor, fake: Tensor) -> Tensor:
    """What a step along the fake gradient's sign gains, as a share of the best step's gain."""
    gained = (true * fake.sign()).flatten(1).sum(1)
    return gained / true.abs().flatten(1).sum(1)


@EVERY_FAKE
def test_predictions_are_the_honest_models(
    planted: Planted, model: AVClassifier, batch: Batch
) -> None:
    fake = planted.make(model).eval()
    with torch.no_grad():
        logits, honest = fake(batch.clip), fake.honest(batch.clip)
    assert torch.equal(logits.argmax(1), honest.argmax(1))
    if planted.name not in COARSE:
        assert torch.allclose(logits, honest, atol=1e-5)


@EVERY_FAKE
def test_the_gradient_is_alive_and_wrong(
    planted: Planted, model: AVClassifier, batch: Batch
) -> None:
    fake = planted.make(model).eval()
    given, true = gradients(fake, batch), gradients(fake.honest, batch)
    for modality in MODALITIES:
        spoiled, honest = getattr(given, modality), getattr(true, modality)
        assert spoiled.isfinite().all()
        assert (spoiled.flatten(1).abs().sum(1) > 0).all()
        gains = gain(honest, spoiled)
        if planted.spoils in (modality, "both"):
            assert gains.min() < 0.9, f"{modality}: steps gain {gains.tolist()}"
        else:
            assert torch.allclose(spoiled, honest, rtol=1e-3, atol=1e-6)


@EVERY_FAKE
def test_an_attack_gains_less_than_with_the_true_gradients(
    planted: Planted, model: AVClassifier, batch: Batch
) -> None:
    fake = planted.make(model).eval()
    threat = suite(0.005, units="pixel")[CONDITIONS[planted.spoils]]
    with torch.no_grad():
        clean = cross_entropy(fake.honest, batch.clip, batch.label).sum()
        gains = []
        for attacked in (fake, fake.honest):
            clip = PGD(4, 0.25)(attacked, batch.clip, batch.label, threat)
            gains.append(cross_entropy(fake.honest, clip, batch.label).sum() - clean)
    assert gains[0] < 0.8 * gains[1]


def test_a_fake_that_is_right_on_files_is_right_on_nothing_else(model: AVClassifier) -> None:
    audio, visual = clip_of(8, seed=3)
    files = Clip((audio * 32767).round() / 32768, (visual * 255).round() / 255)
    on_files = Batch(files, torch.arange(8) % 5, ("",) * 8)
    true = gradients(model, on_files)
    for planted in FAKES:
        if planted.name.endswith("right_on_files"):
            given = gradients(planted.make(model).eval(), on_files)
            assert torch.allclose(given.audio, true.audio)
            assert torch.allclose(given.visual, true.visual)


def test_an_honest_wrapper_has_the_true_gradients(model: AVClassifier, batch: Batch) -> None:
    honest = Fake(model, lambda model, clip: model(clip))
    given, true = gradients(honest, batch), gradients(model, batch)
    for modality in MODALITIES:
        gains = gain(getattr(true, modality), getattr(given, modality))
        assert (gains > 0.999).all()
