import pytest
import torch

from avrobust.threats import Threat, audio_budget, suite, visual_budget
from avrobust.types import Clip
from tests.support import clip_of


def test_visual_eps_is_in_imagenet_normalized_units() -> None:
    clean = torch.full((1, 1, 3, 2, 2), 0.5)
    moved = visual_budget(0.006).project(clean + 1, clean) - clean
    levels = moved[0, 0, :, 0, 0] * 255
    # 0.006 normalized is about 0.35 of one 8-bit level: 0.006 * std * 255 for each channel.
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
    assert not budget.contains(far, budget.distance(far, clean)).any()
    near = budget.project(far, clean)
    assert budget.contains(near, budget.distance(near, clean)).all()
    torch.testing.assert_close(
        budget.distance(near, clean), torch.full((4,), 0.03), rtol=1e-4, atol=0
    )


def test_what_leaves_the_budget_is_seen() -> None:
    clean = clip_of(2)
    threat = suite(0.01)["audio"]
    over = clean._replace(audio=clean.audio + torch.tensor([0.0, 0.0101]).view(2, 1, 1))
    assert threat.contains(over, threat.distances(over, clean)).tolist()[1] is False
    touched = clean._replace(visual=clean.visual.clone())
    touched.visual[1, 0, 0, 0, 0] += 1e-7
    assert threat.contains(touched, threat.distances(touched, clean)).tolist() == [True, False]


def test_nan_is_outside() -> None:
    clean = clip_of(1)
    adversarial = clean._replace(audio=torch.full_like(clean.audio, torch.nan))
    threat = suite(1.0)["audio"]
    assert not threat.contains(adversarial, threat.distances(adversarial, clean)).any()


def test_the_papers_tables() -> None:
    table1 = suite(0.006, single_modality_factor=2.0)
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


def test_units_and_norms_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^units must be one of imagenet, pixel, not 'foo'$"):
        suite(0.1, units="foo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^norm must be one of linf, l2, not 'l1'$"):
        suite(0.1, norm="l1")  # type: ignore[arg-type]


def test_no_budget_leaves_the_clip_itself() -> None:
    clip = clip_of(1)
    assert Threat().project(clip, clip).audio is clip.audio


def test_an_l2_ball_is_over_all_values_of_a_clip() -> None:
    clean = clip_of(3)
    threat = suite(0.5, audio=2.0, units="pixel", norm="l2")["audiovisual"]
    far = Clip(*(0.5 * x for x in clean))  # towards 0, so that no bound cuts it
    near = threat.project(far, clean)
    for x, c, eps in zip(near, clean, (1.0, 0.5), strict=True):
        torch.testing.assert_close(
            (x - c).flatten(1).norm(dim=1), torch.full((3,), eps), rtol=1e-4, atol=0
        )
    assert threat.contains(near, threat.distances(near, clean)).all()
    assert not threat.contains(far, threat.distances(far, clean)).any()
    inside = Clip(*(c + 1e-5 * (x - c) for x, c in zip(near, clean, strict=True)))
    for x, y in zip(threat.project(inside, clean), inside, strict=True):
        torch.testing.assert_close(x, y)


def test_a_signal_to_noise_ratio_is_of_each_clip() -> None:
    audio = clip_of(3).audio * torch.tensor([1.0, 0.1, 0.0]).view(3, 1, 1)
    budget = suite(0.5, snr=20.0, norm="l2")["audio"].audio
    assert budget is not None
    near = budget.project(0.5 * audio + (audio == 0), audio)
    noise, signal = (x.square().flatten(1).sum(1) for x in (near - audio, audio))
    torch.testing.assert_close(
        10 * torch.log10(signal / noise)[:2], torch.full((2,), 20.0), atol=1e-2, rtol=0
    )
    assert torch.equal(near[2], audio[2])
    torch.testing.assert_close(
        budget.distance(near, audio), torch.tensor([0.1, 0.1, 0.0]), rtol=1e-3, atol=0
    )
    assert budget.contains(near, budget.distance(near, audio)).all()
