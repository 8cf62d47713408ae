import pytest
import torch

from avrobust.models.fusion.base import Fusion, MapFusion
from avrobust.types import Features
from tests.support import built, options

DIM = 8


@pytest.fixture(params=options("fusion"))
def fusion(request: pytest.FixtureRequest) -> Fusion:
    torch.manual_seed(0)
    return built("fusion", request.param)(audio_dim=DIM, visual_dim=DIM).eval()


def features(fusion: object = None, count: int = 6) -> Features:
    rng = torch.Generator().manual_seed(1)
    places = (count, 2, DIM, 3, 3) if isinstance(fusion, MapFusion) else (count, DIM)
    return Features(
        *(torch.randn(shape, generator=rng).requires_grad_() for shape in ((count, DIM), places))
    )


def test_shape(fusion: Fusion) -> None:
    assert fusion(features(fusion)).shape == (6, fusion.out_dim)


def test_gradient_reaches_every_modality_it_uses(fusion: Fusion) -> None:
    x = features(fusion)
    gradients = torch.autograd.grad(fusion(x).square().sum(), x, allow_unused=True)
    for name, gradient in zip(Features._fields, gradients, strict=True):
        reached = gradient is not None and bool((gradient != 0).all())
        assert reached == (name in fusion.uses), name


def test_a_clip_does_not_depend_on_its_batch(fusion: Fusion) -> None:
    x = features(fusion)
    alone = torch.cat([fusion(Features(x.audio[i : i + 1], x.visual[i : i + 1])) for i in range(6)])
    torch.testing.assert_close(fusion(x), alone)


def test_a_missing_modality_is_survived(fusion: Fusion) -> None:
    x = features(fusion)
    for zeroed in (
        Features(torch.zeros_like(x.audio), x.visual),
        Features(x.audio, torch.zeros_like(x.visual)),
    ):
        assert fusion(zeroed).isfinite().all()


FORMULAS = {
    "sum": lambda a, v: a + v,
    "concat": lambda a, v: torch.cat((a, v), 1),
    "gated_sum": lambda a, v: torch.sigmoid(a) * v + torch.sigmoid(v) * a,
    "gated_concat": lambda a, v: torch.cat((torch.sigmoid(a) * v, torch.sigmoid(v) * a), 1),
    "audio_only": lambda a, v: a,
    "visual_only": lambda a, v: v,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_of_the_paper(name: str) -> None:
    x = features()
    assert torch.equal(built("fusion", name)(audio_dim=DIM, visual_dim=DIM)(x), FORMULAS[name](*x))


def test_film_modulates_the_visual_embedding() -> None:
    film = built("fusion", "film")(audio_dim=DIM, visual_dim=DIM)
    x = features()
    assert torch.equal(film(x), film.alpha(x.audio) * x.visual + film.beta(x.audio))


@pytest.mark.parametrize("name", ["sum", "gated_sum", "gated_concat"])
def test_unequal_embeddings_are_refused(name: str) -> None:
    from avrobust.errors import UserError

    with pytest.raises(UserError, match="audio has 4 and visual 8"):
        built("fusion", name)(audio_dim=4, visual_dim=8)
