import pytest
import torch

from avrobust.attacks.threat import Threat, audio_budget, suite, visual_budget
from tests.support import clip_of


def test_visual_eps_is_in_imagenet_normalised_units() -> None:
    clean = torch.full((1, 1, 3, 2, 2), 0.5)
    moved = visual_budget(0.006).project(clean + 1, clean) - clean
    levels = moved[0, 0, :, 0, 0] * 255
    # 0.006 normalised is about 0.35 of one 8-bit level: 0.006 * std * 255 for each channel.
    torch.testing.assert_close(levels, torch.tensor([0.3504, 0.3427, 0.3442]), atol=1e-3, rtol=0)


def test_pixel_eps_is_in_pixels() -> None:
    clean = torch.full((1, 1, 3, 2, 2), 0.5)
    moved = visual_budget(8 / 255, "pixel").project(clean + 1, clean) - clean
    torch.testing.assert_close(moved, torch.full_like(moved, 8 / 255))


def test_projection_respects_valid_values() -> None:
    clean = torch.tensor([[[-0.99, 0.99, 0.0]]])
    projected = audio_budget(0.1).project(clean + torch.tensor([-5.0, 5.0, 5.0]), clean)
    torch.testing.assert_close(projected, torch.tensor([[[-1.0, 1.0, 0.1]]]))


def test_distance_and_projection_agree() -> None:
    clean = clip_of(4).visual
    budget = visual_budget(0.03)
    far = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    assert not budget.contains(far, clean).any()
    near = budget.project(far, clean)
    assert budget.contains(near, clean).all()
    torch.testing.assert_close(budget.distance(near, clean), torch.full((4,), 0.03), rtol=1e-4, atol=0)


def test_what_leaves_the_budget_is_seen() -> None:
    clean = clip_of(2)
    threat = suite(0.01)["audio"]
    over = clean._replace(audio=clean.audio + torch.tensor([0.0, 0.0101]).view(2, 1, 1))
    assert threat.contains(over, clean).tolist()[1] is False
    touched = clean._replace(visual=clean.visual.clone())
    touched.visual[1, 0, 0, 0, 0] += 1e-7
    assert threat.contains(touched, clean).tolist() == [True, False]


def test_nan_is_outside() -> None:
    clean = clip_of(1)
    adversarial = clean._replace(audio=torch.full_like(clean.audio, torch.nan))
    assert not suite(1.0)["audio"].contains(adversarial, clean).any()


def test_the_papers_tables() -> None:
    table1 = suite(0.006, single=2.0)
    assert table1["audio"].audio is not None
    assert table1["audio"].audio.eps == pytest.approx(0.012)
    assert table1["visual"].visual is not None
    assert table1["visual"].visual.eps == pytest.approx(0.012)
    joint = table1["audiovisual"]
    assert joint.audio is not None
    assert joint.visual is not None
    assert (joint.audio.eps, joint.visual.eps) == (0.006, 0.006)
    assert table1["audio"].visual is None
    assert table1["visual"].audio is None


@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf")])
def test_senseless_budgets_are_refused(eps: float) -> None:
    with pytest.raises(ValueError, match="eps must be a finite number"):
        suite(eps)


def test_no_budget_leaves_the_clip_itself() -> None:
    clip = clip_of(1)
    assert Threat().project(clip, clip).audio is clip.audio
