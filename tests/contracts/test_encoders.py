import pytest
import torch
from torch import Tensor, nn

from tests.support import built, clip_of, options

CASES = [(group, option) for group in ("audio", "visual") for option in options(group)]


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    group, option = request.param
    torch.manual_seed(0)
    encoder = built(group, option)
    inputs = getattr(clip_of(4, frames=2), group)
    encoder.train()(inputs)  # gives BatchNorm statistics
    return encoder.eval(), inputs


def test_shape(case: tuple[nn.Module, Tensor]) -> None:
    encoder, x = case
    assert encoder(x).shape == (4, encoder.dim)


def test_input_gradient_is_finite_and_not_zero(case: tuple[nn.Module, Tensor]) -> None:
    encoder, x = case
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(x).square().sum(), x)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


def test_a_clip_does_not_depend_on_its_batch(case: tuple[nn.Module, Tensor]) -> None:
    encoder, x = case
    with torch.no_grad():
        torch.testing.assert_close(encoder(x)[2:3], encoder(x[2:3]), rtol=1e-4, atol=1e-5)


def test_silence_and_black_stay_finite(case: tuple[nn.Module, Tensor]) -> None:
    encoder, x = case
    x = torch.zeros_like(x).requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(x).sum(), x)
    assert gradient.isfinite().all()


def test_the_papers_audio_net() -> None:
    net = built("audio", "waveform")
    assert sum(p.numel() for p in net.parameters()) == 1_566_528


def test_waveform_equals_the_papers_one_dimensional_convolutions() -> None:
    net = built("audio", "waveform").double().eval()
    layers: list[nn.Module] = []
    for layer in net.blocks.modules():
        if isinstance(layer, nn.Conv2d):
            plain = nn.Conv1d(
                layer.in_channels, layer.out_channels, 3, stride=2, padding=1
            ).double()
            plain.weight.data, plain.bias.data = layer.weight.data[:, :, 0], layer.bias.data
            layers += [plain, nn.BatchNorm1d(layer.out_channels).double(), nn.ReLU()]
            if sum(isinstance(x, nn.Conv1d) for x in layers) % 2 == 0:
                layers.append(nn.MaxPool1d(2, 2))
    x = torch.randn(2, 1, 9000, dtype=torch.float64)
    expected = nn.Sequential(*layers).eval()(x).amax(2)
    torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-12)


def test_the_papers_visual_net() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    reference = resnet18().eval()
    net = built("visual", "resnet18").eval()
    net.net.load_state_dict(
        {k: v for k, v in reference.state_dict().items() if not k.startswith("fc")}
    )
    reference.fc = nn.Identity()
    x = torch.rand(2, 1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = reference((x[:, 0] - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    torch.testing.assert_close(net(x), expected)


def test_several_frames_are_averaged() -> None:
    net = built("visual", "cnn").eval()
    x = clip_of(2, frames=3).visual
    torch.testing.assert_close(
        net(x), torch.stack([net(x[:, i : i + 1]) for i in range(3)]).mean(0)
    )
