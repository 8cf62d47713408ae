"""Temporal invariance and modality misalignment: do the terms do what their names say?"""

from functools import partial

import pytest
import torch

from avrobust.attacks.losses import cosine
from avrobust.attacks.pgd import PGD
from avrobust.attacks.tma import TMA, _variance, shifted
from avrobust.threats import suite
from avrobust.types import Features
from tests.support import batch_of, clip_of, model_for

MODEL, BATCH = model_for(), batch_of(6, seed=5)
THREAT = suite(0.05)["audiovisual"]


def test_a_clip_is_rolled_in_time_in_both_streams() -> None:
    clip = clip_of(2, frames=4)
    half = shifted(clip, 0.5)
    assert torch.equal(half.audio, torch.cat([clip.audio[..., 2048:], clip.audio[..., :2048]], -1))
    assert torch.equal(half.visual, clip.visual[:, [2, 3, 0, 1]])
    assert torch.equal(shifted(clip_of(2), 0.25).visual, clip_of(2).visual)


def test_the_variance_is_of_directions_and_of_each_clip() -> None:
    x, y = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    none = torch.zeros(2, 0)
    torch.testing.assert_close(
        _variance([Features(x, none), Features(y, none)]), torch.tensor([0.0, 0.5])
    )


def test_weights_of_zero_are_pgd() -> None:
    plain = PGD(4)(MODEL, BATCH.clip, BATCH.label, THREAT)
    same = TMA(4, temporal=0.0, misalignment=0.0)(MODEL, BATCH.clip, BATCH.label, THREAT)
    with torch.no_grad():
        torch.testing.assert_close(MODEL(same), MODEL(plain))


@pytest.mark.parametrize("term", ["temporal", "misalignment"])
def test_each_term_moves_what_it_weighs(term: str) -> None:
    attack = partial(TMA, 8, temporal=0.0, misalignment=0.0)
    found = {}
    for weight in (0.0, 50.0):
        x = attack(**{term: weight})(MODEL, BATCH.clip, BATCH.label, THREAT)
        with torch.no_grad():
            if term == "misalignment":
                found[weight] = float(cosine(MODEL.encode(x)).mean())
            else:
                views = [MODEL.encode(shifted(x, i / 4)) for i in range(4)]
                found[weight] = float(_variance(views).mean())
    assert found[50.0] < found[0.0]
