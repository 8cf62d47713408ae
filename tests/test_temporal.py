"""Encoders that see motion: what sets them apart from the mean over frames."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from avrobust.errors import UserError
from avrobust.models.encoders.r3d import KINETICS_MEAN, KINETICS_STD
from avrobust.models.folding import folded
from avrobust.tasks.setup import build_model, build_parts
from tests.support import built, clip_of, experiment_for, options

TEMPORAL = ["r3d18", "resnet10_temporal"]
FRAME_BY_FRAME = sorted(set(options("visual")) - set(TEMPORAL))
CLIP = clip_of(3, frames=4, seed=2)


@cache
def encoder_for(option: str) -> nn.Module:
    """An encoder in eval mode whose BatchNorm has the statistics of random clips."""
    torch.manual_seed(0)
    encoder: nn.Module = built("visual", option)
    with torch.no_grad():
        encoder.train()(CLIP.visual)
    return encoder.eval()


def reversed_frames(visual: Tensor) -> Tensor:
    return visual.flip(1)


def rolled_frames(visual: Tensor) -> Tensor:
    return visual.roll(1, 1)


@pytest.mark.parametrize("change", [reversed_frames, rolled_frames])
@pytest.mark.parametrize("option", TEMPORAL)
@torch.no_grad()
def test_a_temporal_encoder_depends_on_the_order(
    option: str, change: Callable[[Tensor], Tensor]
) -> None:
    encoder = encoder_for(option)
    plain, changed = encoder(CLIP.visual), encoder(change(CLIP.visual))
    assert ((plain - changed).norm(dim=1) > 0.01 * plain.norm(dim=1)).all()


@pytest.mark.parametrize("option", FRAME_BY_FRAME)
@torch.no_grad()
def test_the_mean_over_frames_does_not(option: str) -> None:
    encoder = encoder_for(option)
    changed = encoder(reversed_frames(CLIP.visual))
    torch.testing.assert_close(changed, encoder(CLIP.visual), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("option", TEMPORAL)
def test_every_frame_has_a_gradient_and_every_clip_its_own(option: str) -> None:
    encoder = encoder_for(option)
    x = CLIP.visual.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(x)[1].square().sum(), x)
    of_each_frame = gradient.flatten(2).abs().amax(2)  # (B, T)
    assert (of_each_frame[1] > 0).all()
    assert (of_each_frame[[0, 2]] == 0).all()


@torch.no_grad()
def test_r3d18_is_torchvisions() -> None:
    from torchvision.models.video import r3d_18

    torch.manual_seed(0)
    reference = r3d_18().eval()
    encoder = built("visual", "r3d18").eval()
    state = {k: v for k, v in reference.state_dict().items() if not k.startswith("fc")}
    encoder.net.load_state_dict(state)
    reference.fc = nn.Identity()
    mean, std = torch.tensor(KINETICS_MEAN), torch.tensor(KINETICS_STD)
    normalized = (CLIP.visual - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = reference(normalized.transpose(1, 2))
    torch.testing.assert_close(encoder(CLIP.visual), expected)


@pytest.mark.parametrize("option", TEMPORAL)
@torch.no_grad()
def test_batchnorm_is_folded_in_two_and_three_dimensions(option: str) -> None:
    narrow = ("audio.widths=[8,8,8,16]", f"visual={option}", "dataset.frames=4")
    settings = experiment_for("train", *narrow).model
    model = build_model(settings, 3, built("defense", "none"))
    for seed in range(3):
        model.train()(clip_of(3, frames=4, seed=seed))  # statistics that folding must not lose
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
    fast = folded(model.eval())
    assert model.visual is not None
    assert fast.visual is not None
    assert not [m for m in fast.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    torch.testing.assert_close(fast.visual(CLIP.visual), model.visual(CLIP.visual))


@torch.no_grad()
@pytest.mark.parametrize("option", TEMPORAL)
def test_attention_looks_at_the_map_of_a_temporal_encoder(option: str) -> None:
    settings = experiment_for(
        "train", "audio.widths=[8,8,8,16]", f"visual={option}", "fusion=attention"
    ).model
    model = build_model(settings, 3, built("defense", "none")).eval()
    response = model.response(CLIP)
    assert response.dim() == 4
    assert len(response) == 3
    assert response.isfinite().all()
    assert model(CLIP).shape == (3, 3)


@pytest.mark.parametrize("option", TEMPORAL)
def test_one_frame_is_refused_before_any_work(option: str, tmp_path: Path) -> None:
    experiment = experiment_for("train", f"visual={option}", f"dataset.root={tmp_path / 'data'}")
    with pytest.raises(UserError) as refused:
        build_parts(experiment.model, experiment.execution)
    assert str(refused.value) == (
        f"visual={option} needs at least 2 frames a clip, dataset.frames=1: "
        "add dataset.frames=8 dataset.stride=1"
    )
    assert not (tmp_path / "data").exists()
