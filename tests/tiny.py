"""Tiny models that really recognize something, to test whether a verdict is right about them."""

from functools import cache

import torch
from torch import Tensor

from avrobust.attacks.pgd import PGD
from avrobust.models.classifier import AVClassifier
from avrobust.threats import suite
from avrobust.types import Batch, Clip
from avrobust.utils.randomness import generator
from tests.support import AUDIO_SAMPLES, IMAGE_SIZE, model_for

CLASSES = 4
EPS = 0.03
THREATS = suite(EPS, visual=2.0, units="pixel")


def tones_and_patches(count: int, *, seed: int) -> Batch:
    """A tone and a colored corner for each class, in noise: either modality tells the class."""
    rng = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % CLASSES
    time = torch.arange(AUDIO_SAMPLES) / 11025
    phase = 6.28 * torch.rand(count, 1, generator=rng)
    audio = 0.15 * torch.sin(6.28 * (300 + 500 * label[:, None]) * time + phase)
    audio = audio + 0.05 * torch.randn(count, AUDIO_SAMPLES, generator=rng)
    visual = 0.5 + 0.05 * torch.randn(count, 1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=rng)
    half = IMAGE_SIZE // 2
    for i, c in enumerate(label.tolist()):
        top, left = half * (c // 2), half * (c % 2)
        visual[i, 0, c % 3, top : top + half, left : left + half] += 0.2
    clip = Clip(audio.unsqueeze(1).clamp(-1, 1), visual.clamp(0, 1))
    return Batch(clip, label, tuple(f"{seed}/{i}" for i in range(count)))


@cache
def trained(*, adversarially: bool, steps: int = 50) -> AVClassifier:
    """A model that learned tones and patches, clean or as an attacker would hand them in."""
    model = model_for(classes=CLASSES, warm=False).train()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    attack = PGD(2, 0.7, random_start=True)
    for step in range(steps):
        clip, label, keys = tones_and_patches(24, seed=1000 + step)
        if adversarially:
            generators = [generator(0, key) for key in keys]
            clip = attack(model, clip, label, THREATS["audiovisual"], generators=generators)
        loss: Tensor = torch.nn.functional.cross_entropy(model(clip), label)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return model.eval()
