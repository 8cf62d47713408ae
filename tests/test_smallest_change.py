"""FAB-T and HopSkipJump look for the smallest change: known exactly for a linear model."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.attacks.fab import FABT
from avrobust.attacks.hopskipjump import HopSkipJump
from avrobust.attacks.problem import QueryCounter
from avrobust.threats import Threat, audio_budget, visual_budget
from avrobust.types import Classifier, Clip
from avrobust.utils.randomness import generator

COUNT, SAMPLES, SIDE = 6, 24, 3
# Two classes: HopSkipJump may stay at a further boundary than that of the nearest class.
WEIGHTS = torch.randn(2, SAMPLES + 3 * SIDE**2, generator=generator(0, "weights"))


def flat(clip: Clip) -> Tensor:
    return torch.cat([clip.audio.flatten(1), clip.visual.flatten(1)], 1)


def linear(clip: Clip) -> Tensor:
    return flat(clip) @ WEIGHTS.T


def labels_alone(clip: Clip) -> Tensor:
    return F.one_hot(linear(clip).argmax(1), 2).float()


CLIP = Clip(
    torch.rand(COUNT, 1, SAMPLES, generator=generator(1, "audio")) - 0.5,
    0.25 + 0.5 * torch.rand(COUNT, 1, 3, SIDE, SIDE, generator=generator(1, "visual")),
)
LABEL = linear(CLIP).argmax(1)
AUDIO_EPS, VISUAL_EPS = 0.01, 0.002


def smallest() -> Tensor:
    """The distance of each clip from the nearest boundary, in units of both eps: (B,)."""
    eps = torch.cat([torch.full((SAMPLES,), AUDIO_EPS), torch.full((3 * SIDE**2,), VISUAL_EPS)])
    logits = linear(CLIP)
    gap = logits.gather(1, LABEL[:, None]) - logits
    slope = ((WEIGHTS[LABEL][:, None] - WEIGHTS).abs() * eps).sum(2)
    return (gap / slope).scatter(1, LABEL[:, None], torch.inf).amin(1)


def fooled(attack: Attack, share: float, model: Classifier = linear) -> list[bool]:
    """Which clips are fooled within a share of the change that each one needs."""
    outcome = []
    for i, needed in enumerate((share * smallest()).tolist()):
        threat = Threat(
            audio_budget(needed * AUDIO_EPS), visual_budget(needed * VISUAL_EPS, "pixel")
        )
        clip = Clip(CLIP.audio[i : i + 1], CLIP.visual[i : i + 1])
        attacked = attack(
            model, clip, LABEL[i : i + 1], threat, generators=[generator(0, "test", i)]
        )
        outcome.append(int(linear(attacked).argmax()) != int(LABEL[i]))
    return outcome


def test_fab_fools_within_the_smallest_budget_that_allows_it() -> None:
    assert all(fooled(FABT(20), 1.001))
    assert not any(fooled(FABT(20), 0.999))


def test_hopskipjump_comes_near_to_the_smallest_change() -> None:
    assert all(fooled(HopSkipJump(5000), 1.15))
    assert not any(fooled(HopSkipJump(5000), 0.999))


def test_hopskipjump_needs_labels_alone() -> None:
    assert all(fooled(HopSkipJump(5000), 1.15, labels_alone))


@pytest.mark.parametrize("queries", [1, 7, 300])
def test_hopskipjump_asks_no_more_than_it_may(queries: int) -> None:
    counters = [QueryCounter() for _ in range(COUNT)]
    threat = Threat(audio_budget(1e-6), visual_budget(1e-6, "pixel"))
    generators = [generator(0, "test", i) for i in range(COUNT)]
    HopSkipJump(queries).run(linear, CLIP, LABEL, threat, generators=generators, counters=counters)
    # Beside them both attacks compare their outcome with the clean clip, as all black boxes here.
    assert {counter.queries <= queries + 3 for counter in counters} == {True}
    assert max(counter.queries for counter in counters) >= min(queries, 7)
    assert {counter.gradients for counter in counters} == {0}


def test_a_modality_without_room_is_left_alone() -> None:
    threat = Threat(audio_budget(0.0), visual_budget(0.5, "pixel"))
    generators = [generator(0, "test", i) for i in range(COUNT)]
    for attack in (FABT(20), HopSkipJump(500)):
        attacked = attack(linear, CLIP, LABEL, threat, generators=generators)
        assert torch.equal(attacked.audio, CLIP.audio)
        assert not torch.equal(attacked.visual, CLIP.visual)
