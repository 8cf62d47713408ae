"""FAB-T and HopSkipJump look for the smallest change: known exactly for a linear model."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.attacks.fab import FABT
from avrobust.attacks.hopskipjump import HopSkipJump
from avrobust.attacks.problem import Problem, QueryCounter
from avrobust.attacks.unit_box import UnitBox
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


def test_one_step_of_fab_overshoots_the_boundary_by_a_twentieth() -> None:
    threat = Threat(audio_budget(AUDIO_EPS), visual_budget(VISUAL_EPS, "pixel"))
    problem = Problem(linear, CLIP, LABEL, threat)
    distance = FABT(1).smallest_change(problem, 1 - LABEL, enough=0.0)[1]
    torch.testing.assert_close(distance, 1.05 * smallest())


def test_the_way_to_a_plane_is_the_shortest_that_stays_in_the_box() -> None:
    size, rng = 6, generator(2, "planes")
    low, high = -torch.rand(40, size, generator=rng), torch.rand(40, size, generator=rng)
    box = UnitBox(CLIP, Threat(), low, high)
    change = box.low + (box.high - box.low) * torch.rand(40, size, generator=rng)
    normal = torch.randn(40, size, generator=rng)
    offset = torch.randn(40, generator=rng)
    way = box.to_plane(change, normal, offset)
    reached, stopped = 0, 0
    for i in range(40):
        # The largest of |d_j|, t, is minimized over (d, t), with d in the box and on the plane.
        eye, one = np.eye(size), np.ones((size, 1))
        optimum = linprog(
            [0.0] * size + [1.0],
            A_ub=np.block([[eye, -one], [-eye, -one]]),
            b_ub=np.zeros(2 * size),
            A_eq=np.append(normal[i].numpy(), 0.0)[None],
            b_eq=[float(offset[i] - normal[i] @ change[i])],
            bounds=[
                *np.stack([(box.low - change)[i], (box.high - change)[i]], 1).tolist(),
                (0, None),
            ],
        )
        moved = (change + way)[i]
        assert (moved >= box.low[i] - 1e-6).all()
        assert (moved <= box.high[i] + 1e-6).all()
        if optimum.success:
            reached += 1
            stopped += int((way[i].abs() < way[i].abs().max() - 1e-4).any())
            assert float(normal[i] @ moved) == pytest.approx(float(offset[i]), abs=1e-5)
            assert float(way[i].abs().max()) == pytest.approx(optimum.fun, abs=1e-5)
        else:
            gap = float(offset[i] - normal[i] @ moved)
            corner = torch.where(normal[i] * gap > 0, box.high[i], box.low[i])
            torch.testing.assert_close(moved, corner)
    assert reached < 40
    assert stopped > 3


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
