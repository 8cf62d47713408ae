"""What every attack under configs/attack has to keep, whatever it does inside."""

import pytest
import torch
from torch.nn import functional as F

from avrobust.attacks.base import Attack
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier
from avrobust.threats import Threat, suite
from avrobust.types import Batch, Clip
from avrobust.utils.randomness import generator
from tests.support import batch_of, build_short, clip_of, model_for, options

CONDITIONS: list[str] = ["audio", "visual", "audiovisual"]
CLASSES = 4  # targeted losses compare as many
SOUND = model_for(classes=CLASSES)


def _batch() -> Batch:
    """Six clips of which the model recognizes every other one.

    Attacks treat the two kinds differently.
    """
    batch = batch_of(6, seed=3)
    with torch.no_grad():
        said = SOUND(batch.clip).argmax(1)
    return batch._replace(label=(said + torch.arange(6) % 2) % CLASSES)


BATCH = _batch()


@pytest.fixture(scope="module")
def model() -> AVClassifier:
    return SOUND


@pytest.fixture(params=options("attack"))
def attack(request: pytest.FixtureRequest) -> Attack:
    return build_short(request.param)


def run(
    attack: Attack, model: object, threat: Threat, which: slice | list[int] = slice(None)
) -> Clip:
    keys = [BATCH.key[i] for i in torch.arange(6)[which].tolist()]
    clip = Clip(BATCH.clip.audio[which], BATCH.clip.visual[which])
    generators = [generator(0, "test", key) for key in keys]
    return attack(model, clip, BATCH.label[which], threat, generators=generators)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("units", ["imagenet", "pixel"])
def test_inside_budget_and_bounds(
    attack: Attack, model: AVClassifier, condition: str, units: str
) -> None:
    eps = 0.02
    adversarial = run(attack, model, suite(eps, units=units)[condition])  # type: ignore[arg-type]
    scale = (
        torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        if units == "imagenet"
        else torch.ones(3, 1, 1)
    )
    moved = (
        (adversarial.audio - BATCH.clip.audio).abs(),
        (adversarial.visual - BATCH.clip.visual).abs() / scale,
    )
    if attack.bounded:
        assert max(float(m.max()) for m in moved) <= eps * (1 + 1e-4)
    assert adversarial.audio.min() >= -1
    assert adversarial.audio.max() <= 1
    assert adversarial.visual.min() >= 0
    assert adversarial.visual.max() <= 1


@pytest.mark.parametrize("snr", [None, 30.0])
def test_inside_an_l2_budget_or_refused(
    attack: Attack, model: AVClassifier, snr: float | None
) -> None:
    threat = suite(0.4, units="pixel", norm="l2", snr=snr)["audiovisual"]
    if "l2" not in attack.norms:
        with pytest.raises(UserError, match="is defined for the norm linf alone"):
            run(attack, model, threat)
        return
    adversarial = run(attack, model, threat)
    moved = [
        (x - clean).flatten(1).norm(dim=1) for x, clean in zip(adversarial, BATCH.clip, strict=True)
    ]
    allowed = 0.4 if snr is None else 10 ** (-snr / 20) * BATCH.clip.audio.flatten(1).norm(dim=1)
    assert (moved[0] <= allowed * 1.001).all()  # type: ignore[operator]
    assert (moved[1] <= 0.4 * 1.001).all()
    assert max(map(float, moved[1])) > 0.1
    assert threat.contains(adversarial, threat.distances(adversarial, BATCH.clip)).all()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_eps_zero_returns_the_input_bit_for_bit(
    attack: Attack, model: AVClassifier, condition: str
) -> None:
    adversarial = run(attack, model, suite(0.0)[condition])
    assert all(torch.equal(x, clean) for x, clean in zip(adversarial, BATCH.clip, strict=True))


def test_an_untouched_modality_comes_back_bit_for_bit(attack: Attack, model: AVClassifier) -> None:
    threats = suite(0.05)
    assert torch.equal(run(attack, model, threats["audio"]).visual, BATCH.clip.visual)
    assert torch.equal(run(attack, model, threats["visual"]).audio, BATCH.clip.audio)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_attacked_modalities_do_move(attack: Attack, model: AVClassifier, condition: str) -> None:
    adversarial = run(attack, model, suite(0.05)[condition])
    for name, x, clean in zip(Clip._fields, adversarial, BATCH.clip, strict=True):
        assert torch.equal(x, clean) == (name not in condition), name


@pytest.mark.parametrize("condition", CONDITIONS)
def test_loss_rises(attack: Attack, model: AVClassifier, condition: str) -> None:
    adversarial = run(attack, model, suite(0.02)[condition])
    with torch.no_grad():
        logits, attacked = model(BATCH.clip), model(adversarial)
    before, after = (F.cross_entropy(z, BATCH.label, reduction="none") for z in (logits, attacked))
    assert after.mean() > before.mean()
    if attack.bounded:  # the unbounded one moves pixels against the gradient as well
        fooled = (logits.argmax(1) == BATCH.label) & (attacked.argmax(1) != BATCH.label)
        assert ((after >= before - 1e-5) | fooled).all()


def test_the_model_is_left_as_it_was(attack: Attack) -> None:
    model = model_for(classes=CLASSES)
    model.train()
    model.fusion.eval()
    parameters = list(model.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones_like(parameters[1])
    modes = [m.training for m in model.modules()]
    wanted = [p.requires_grad for p in parameters]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    global_state = torch.get_rng_state()

    run(attack, model, suite(0.02)["audiovisual"])

    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in parameters] == wanted
    assert torch.equal(parameters[1].grad, torch.ones_like(parameters[1]))
    assert all(p.grad is None for p in [parameters[0], *parameters[2:]])
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), global_state)


def test_the_model_is_left_as_it_was_after_an_error(attack: Attack) -> None:
    model = model_for(classes=CLASSES).train()
    short = clip_of(1)._replace(audio=torch.zeros(1, 1, 8))
    with pytest.raises(RuntimeError):
        attack(
            model,
            short,
            torch.zeros(1).long(),
            suite(0.1)["audio"],
            generators=[generator(0, "test")],
        )
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_nothing_keeps_the_graph(attack: Attack, model: AVClassifier) -> None:
    adversarial = run(attack, model, suite(0.02)["audiovisual"])
    assert not any(x.requires_grad for x in adversarial)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_same_generators_same_result(attack: Attack, model: AVClassifier, condition: str) -> None:
    threat = suite(0.02)[condition]
    first, second = run(attack, model, threat), run(attack, model, threat)
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_splitting_or_permuting_the_batch_changes_nothing(
    attack: Attack, model: AVClassifier
) -> None:
    # In float64: a different batch size rounds differently in float32, and a sign turns that into a
    # whole step.
    double = model_for(classes=CLASSES).double()
    threat = suite(0.02)["audiovisual"]
    clip, label = Clip(*(x.double() for x in BATCH.clip)), BATCH.label

    def attacked(order: list[int]) -> Clip:
        generators = [generator(0, "test", BATCH.key[i]) for i in order]
        return attack(
            double, Clip(*(x[order] for x in clip)), label[order], threat, generators=generators
        )

    whole = attacked([0, 1, 2, 3, 4, 5])
    for order in ([4], [0, 1, 2], [5, 3, 0, 1, 4, 2]):
        part = attacked(order)
        for x, y in zip(part, whole, strict=True):
            torch.testing.assert_close(x, y[order], rtol=0, atol=1e-9)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_foreign_callable_is_attacked_as_well(
    attack: Attack, model: AVClassifier, condition: str
) -> None:
    def callable_alone(clip: Clip) -> torch.Tensor:
        return model(clip)  # type: ignore[no-any-return]

    threat = suite(0.02)[condition]
    ours, foreign = run(attack, model, threat), run(attack, callable_alone, threat)
    assert not all(torch.equal(x, clean) for x, clean in zip(foreign, BATCH.clip, strict=True))
    if not attack.unsupported(callable_alone, CLASSES):
        for x, y in zip(ours, foreign, strict=True):
            assert (
                x != y
            ).float().mean() < 0.01  # the held embedding may round differently now and then


def test_a_modality_that_the_model_ignores_cannot_be_attacked(attack: Attack) -> None:
    model = model_for("fusion=visual_only", classes=CLASSES)
    adversarial = run(attack, model, suite(0.02)["audio"])
    with torch.no_grad():
        assert torch.equal(model(adversarial), model(BATCH.clip))


def test_a_model_that_cannot_be_differentiated_is_not_called_robust(
    attack: Attack, model: AVClassifier
) -> None:
    threat = suite(0.02)["audiovisual"]
    if not attack.needs_gradient:
        adversarial = run(attack, lambda clip: model(clip).detach(), threat)
        assert torch.equal(adversarial.visual, run(attack, model, threat).visual)
        return
    with pytest.raises(ValueError, match="cannot be differentiated"):
        run(attack, lambda clip: model(clip).detach(), threat)
