"""Our attacks against other libraries', on one modality (torchattacks) and on both at once (ART, packed inputs)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avrobust.attacks.base import Attack
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.mim import MIM
from avrobust.attacks.pgd import PGD
from avrobust.attacks.threat import suite
from avrobust.model import AVClassifier
from avrobust.types import Clip
from tests.support import AUDIO_SAMPLES, IMAGE_SIZE, batch_of, model_for

BATCH = batch_of(8, seed=5)
EPS, STEPS, STEP = 8 / 255, 10, 0.25
OURS: dict[str, Attack] = {"FGSM": FGSM(), "PGD": PGD(STEPS, STEP), "MIM": MIM(STEPS, STEP)}


@pytest.fixture(scope="module")
def model() -> AVClassifier:
    model = model_for()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


class Frames(nn.Module):
    """The model on pictures alone, as image libraries want it: (N, 3, H, W) in [0, 1], each with its own sound."""

    def __init__(self, model: AVClassifier, audio: Tensor) -> None:
        super().__init__()
        self.model, self.audio = model, audio

    def forward(self, x: Tensor) -> Tensor:
        return self.model(Clip(self.audio, x.unsqueeze(1)))


class Sounds(nn.Module):
    """The model on sounds alone, folded to pictures in [0, 1]: (N, 1, 64, 64) <- (N, 1, 4096) in [-1, 1]."""

    def __init__(self, model: AVClassifier, visual: Tensor) -> None:
        super().__init__()
        self.model, self.visual = model, visual

    def forward(self, x: Tensor) -> Tensor:
        return self.model(Clip((2 * x - 1).flatten(2).view(-1, 1, AUDIO_SAMPLES), self.visual))


def torchattack(name: str, model: nn.Module, eps: float) -> Callable[[Tensor, Tensor], Tensor]:
    import torchattacks

    if name == "FGSM":
        return torchattacks.FGSM(model, eps)
    if name == "PGD":
        return torchattacks.PGD(model, eps, eps * STEP, STEPS, random_start=False)
    return torchattacks.MIFGSM(model, eps, eps * STEP, STEPS, decay=1.0)


@pytest.mark.parametrize("name", OURS)
def test_frames_alone_equal_torchattacks(name: str, model: AVClassifier) -> None:
    threat = suite(EPS, units="pixel")["visual"]
    ours = OURS[name](model, BATCH.clip, BATCH.label, threat).visual[:, 0]
    theirs = torchattack(name, Frames(model, BATCH.clip.audio), EPS)(BATCH.clip.visual[:, 0], BATCH.label)
    assert float((ours - theirs).abs().max()) == 0
    assert float((ours - BATCH.clip.visual[:, 0]).abs().max()) > EPS / 2


@pytest.mark.parametrize("name", OURS)
def test_sound_alone_equals_torchattacks(name: str, model: AVClassifier) -> None:
    side = int(AUDIO_SAMPLES**0.5)
    # On a grid of 2^-16, so that the library's (x + 1) / 2 and back lose nothing; eps is a power of two for that too.
    clip = BATCH.clip._replace(audio=(BATCH.clip.audio * 2**15).round() / 2**15)
    eps = 2.0**-6
    ours = OURS[name](model, clip, BATCH.label, suite(eps)["audio"]).audio
    folded = ((clip.audio + 1) / 2).view(-1, 1, side, side)
    theirs = torchattack(name, Sounds(model, clip.visual), eps / 2)(folded, BATCH.label)
    assert float((ours - (2 * theirs - 1).view_as(ours)).abs().max()) <= 1e-6


class Packed(nn.Module):
    """The model on one flat vector of both inputs, as ART wants several: (N, S + 3 H W)."""

    def __init__(self, model: AVClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        audio, visual = x[:, :AUDIO_SAMPLES], x[:, AUDIO_SAMPLES:]
        return self.model(Clip(audio.unsqueeze(1), visual.reshape(-1, 1, 3, IMAGE_SIZE, IMAGE_SIZE)))


def pack(clip: Clip) -> np.ndarray:
    return torch.cat([x.flatten(1) for x in clip], 1).numpy()


def art_joint(name: str, model: AVClassifier, audio_eps: float, visual_eps: float) -> np.ndarray:
    from art.attacks.evasion import FastGradientMethod, MomentumIterativeMethod, ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    sizes = (AUDIO_SAMPLES, 3 * IMAGE_SIZE**2)

    def each(audio: float, visual: float) -> np.ndarray:
        return np.repeat(np.float32([audio, visual]), sizes)

    # ART's own clipping is at one pair of bounds; -1 leaves black alone, so the inputs stay inside by construction.
    classifier = PyTorchClassifier(
        Packed(model), nn.CrossEntropyLoss(), (sum(sizes),), 3, clip_values=(each(-1, 0), each(1, 1)), device_type="cpu"
    )
    eps, step = each(audio_eps, visual_eps), STEP * each(audio_eps, visual_eps)
    more = {"batch_size": len(BATCH.label), "verbose": False}
    attacks = {
        "FGSM": lambda: FastGradientMethod(classifier, eps=eps, eps_step=eps, batch_size=len(BATCH.label)),
        "PGD": lambda: ProjectedGradientDescentPyTorch(classifier, eps=eps, eps_step=step, max_iter=STEPS, **more),
        "MIM": lambda: MomentumIterativeMethod(classifier, eps=eps, eps_step=step, decay=1.0, max_iter=STEPS, **more),
    }
    return attacks[name]().generate(pack(BATCH.clip), BATCH.label.numpy())


@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_both_at_once_equal_art(name: str, model: AVClassifier) -> None:
    attack = MIM(STEPS, STEP, normaliser="joint") if name == "MIM" else OURS[name]
    threat = suite(0.012, visual=EPS / 0.012, units="pixel")["audiovisual"]
    ours = pack(attack(model, BATCH.clip, BATCH.label, threat))
    theirs = art_joint(name, model, 0.012, EPS)
    assert np.abs(ours - theirs).max() <= 1e-6


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_arts_joint_normaliser_is_not_our_default(model: AVClassifier) -> None:
    # A negative control: were this equal, the test above could not tell the two normalisers apart.
    threat = suite(0.012, visual=EPS / 0.012, units="pixel")["audiovisual"]
    ours = pack(MIM(STEPS, STEP)(model, BATCH.clip, BATCH.label, threat))
    assert (np.abs(ours - art_joint("MIM", model, 0.012, EPS)) > 1e-6).any()
