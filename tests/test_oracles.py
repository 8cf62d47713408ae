"""Our attacks against other libraries'.

On one modality these are torchattacks and foolbox, on both at once ART and AutoAttack. AutoAttack's
batches are not what they seem to be (a clip's result depends on the others), so its clips come one
by one.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avrobust.attacks.apgd import APGD
from avrobust.attacks.base import Attack
from avrobust.attacks.fab import FABT
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.hopskipjump import CHUNK, HopSkipJump, Search
from avrobust.attacks.losses import dlr, dlr_targeted
from avrobust.attacks.mim import MIM
from avrobust.attacks.pgd import PGD
from avrobust.attacks.problem import Problem, take
from avrobust.attacks.restarts import random_start
from avrobust.attacks.square import Square
from avrobust.attacks.targeted import Targeted
from avrobust.attacks.unit_box import UnitBox
from avrobust.models.classifier import AVClassifier
from avrobust.threats import Threat, suite
from avrobust.types import Clip
from tests.support import AUDIO_SAMPLES, IMAGE_SIZE, batch_of, built, model_for

BATCH = batch_of(8, seed=5)
EPS, STEPS, STEP = 8 / 255, 10, 0.25
OURS: dict[str, Attack] = {"FGSM": FGSM(), "PGD": PGD(STEPS, STEP), "MIM": MIM(STEPS, STEP)}


@pytest.fixture(scope="module")
def model() -> AVClassifier:
    model = model_for()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


class Frames(nn.Module):
    """The model on pictures alone, as image libraries want it.

    (N, 3, H, W) in [0, 1], each with its own sound.
    """

    def __init__(self, model: AVClassifier, audio: Tensor) -> None:
        super().__init__()
        self.model, self.audio = model, audio

    def forward(self, x: Tensor) -> Tensor:
        return self.model(Clip(self.audio, x.unsqueeze(1)))


class Sounds(nn.Module):
    """The model on sounds alone, folded to pictures in [0, 1].

    (N, 1, 64, 64) <- (N, 1, 4096) in [-1, 1].
    """

    def __init__(self, model: AVClassifier, visual: Tensor) -> None:
        super().__init__()
        self.model, self.visual = model, visual

    def forward(self, x: Tensor) -> Tensor:
        return self.model(Clip((2 * x - 1).flatten(2).view(-1, 1, AUDIO_SAMPLES), self.visual))


def torchattack(name: str, model: nn.Module, eps: float) -> Callable[[Tensor, Tensor], Tensor]:
    import torchattacks

    if name == "FGSM":
        return torchattacks.FGSM(model, eps)
    if name == "PGD":
        return torchattacks.PGD(model, eps, eps * STEP, STEPS, random_start=False)
    return torchattacks.MIFGSM(model, eps, eps * STEP, STEPS, decay=1.0)


@pytest.mark.parametrize("name", OURS)
def test_frames_alone_equal_torchattacks(name: str, model: AVClassifier) -> None:
    threat = suite(EPS, units="pixel")["visual"]
    ours = OURS[name](model, BATCH.clip, BATCH.label, threat).visual[:, 0]
    theirs = torchattack(name, Frames(model, BATCH.clip.audio), EPS)(
        BATCH.clip.visual[:, 0], BATCH.label
    )
    assert float((ours - theirs).abs().max()) == 0
    assert float((ours - BATCH.clip.visual[:, 0]).abs().max()) > EPS / 2


@pytest.mark.parametrize("name", OURS)
def test_sound_alone_equals_torchattacks(name: str, model: AVClassifier) -> None:
    side = int(AUDIO_SAMPLES**0.5)
    # On a grid of 2^-16, so that the library's (x + 1) / 2 and back lose nothing; eps is a power of
    # two for that too.
    clip = BATCH.clip._replace(audio=(BATCH.clip.audio * 2**15).round() / 2**15)
    eps = 2.0**-6
    ours = OURS[name](model, clip, BATCH.label, suite(eps)["audio"]).audio
    folded = ((clip.audio + 1) / 2).view(-1, 1, side, side)
    theirs = torchattack(name, Sounds(model, clip.visual), eps / 2)(folded, BATCH.label)
    assert float((ours - (2 * theirs - 1).view_as(ours)).abs().max()) <= 1e-6


@pytest.mark.parametrize("name", OURS)
def test_frames_led_to_the_least_likely_class_equal_torchattacks(
    name: str, model: AVClassifier
) -> None:
    threat = suite(EPS, units="pixel")["visual"]
    ours = Targeted(OURS[name], "least_likely")(model, BATCH.clip, BATCH.label, threat).visual[:, 0]
    attack = torchattack(name, Frames(model, BATCH.clip.audio), EPS)
    attack.set_mode_targeted_least_likely(quiet=True)  # type: ignore[attr-defined]
    theirs = attack(BATCH.clip.visual[:, 0], BATCH.label)
    assert float((ours - theirs).abs().max()) == 0
    assert (
        float((ours - OURS[name](model, BATCH.clip, BATCH.label, threat).visual[:, 0]).abs().max())
        > EPS / 2
    )


def with_foolbox(name: str, model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    import foolbox
    from foolbox import attacks

    if name == "FGSM":
        attack = attacks.LinfFastGradientAttack(random_start=False)
    elif name == "PGD":
        attack = attacks.LinfProjectedGradientDescentAttack(
            abs_stepsize=EPS * STEP, steps=STEPS, random_start=False
        )
    else:
        kind = attacks.LinfMomentumIterativeFastGradientMethod
        attack = kind(momentum=1.0, abs_stepsize=EPS * STEP, steps=STEPS, random_start=False)
    view = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    raw: Tensor = attack(view, x, foolbox.criteria.Misclassification(label), epsilons=EPS)[0]
    return raw


@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_frames_alone_equal_foolbox_but_for_its_momentum(name: str, model: AVClassifier) -> None:
    # foolbox adds up signs of gradients where MIM adds up gradients: a negative control.
    ours = OURS[name](model, BATCH.clip, BATCH.label, suite(EPS, units="pixel")["visual"]).visual[
        :, 0
    ]
    theirs = with_foolbox(
        name, Frames(model, BATCH.clip.audio), BATCH.clip.visual[:, 0], BATCH.label
    )
    apart = (ours - theirs).abs() > 1e-6
    assert bool(apart.any()) == (name == "MIM")


class Packed(nn.Module):
    """The model on one flat vector of both inputs, as ART wants several: (N, S + 3 H W)."""

    def __init__(self, model: AVClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        audio, visual = x[:, :AUDIO_SAMPLES], x[:, AUDIO_SAMPLES:]
        return self.model(
            Clip(audio.unsqueeze(1), visual.reshape(-1, 1, 3, IMAGE_SIZE, IMAGE_SIZE))
        )


def pack(clip: Clip) -> np.ndarray:
    return torch.cat([x.flatten(1) for x in clip], 1).numpy()


def art_joint(name: str, model: AVClassifier, audio_eps: float, visual_eps: float) -> np.ndarray:
    from art.attacks.evasion import (
        FastGradientMethod,
        MomentumIterativeMethod,
        ProjectedGradientDescentPyTorch,
    )
    from art.estimators.classification import PyTorchClassifier

    sizes = (AUDIO_SAMPLES, 3 * IMAGE_SIZE**2)

    def each(audio: float, visual: float) -> np.ndarray:
        return np.repeat(np.float32([audio, visual]), sizes)

    # ART's own clipping is at one pair of bounds; -1 leaves black alone, so the inputs stay inside
    # by construction.
    classifier = PyTorchClassifier(
        Packed(model),
        nn.CrossEntropyLoss(),
        (sum(sizes),),
        3,
        clip_values=(each(-1, 0), each(1, 1)),
        device_type="cpu",
    )
    eps, step = each(audio_eps, visual_eps), STEP * each(audio_eps, visual_eps)
    more = {"batch_size": len(BATCH.label), "verbose": False}
    attacks = {
        "FGSM": lambda: FastGradientMethod(
            classifier, eps=eps, eps_step=eps, batch_size=len(BATCH.label)
        ),
        "PGD": lambda: ProjectedGradientDescentPyTorch(
            classifier, eps=eps, eps_step=step, max_iter=STEPS, **more
        ),
        "MIM": lambda: MomentumIterativeMethod(
            classifier, eps=eps, eps_step=step, decay=1.0, max_iter=STEPS, **more
        ),
    }
    return attacks[name]().generate(pack(BATCH.clip), BATCH.label.numpy())


@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
def test_both_at_once_equal_art(name: str, model: AVClassifier) -> None:
    attack = MIM(STEPS, STEP, normalizer="joint") if name == "MIM" else OURS[name]
    threat = suite(0.012, visual=EPS / 0.012, units="pixel")["audiovisual"]
    ours = pack(attack(model, BATCH.clip, BATCH.label, threat))
    theirs = art_joint(name, model, 0.012, EPS)
    assert np.abs(ours - theirs).max() <= 1e-6


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
def test_arts_joint_normalizer_is_not_our_default(model: AVClassifier) -> None:
    # A negative control: were this equal, the test above could not tell the two normalizers apart.
    threat = suite(0.012, visual=EPS / 0.012, units="pixel")["audiovisual"]
    ours = pack(MIM(STEPS, STEP)(model, BATCH.clip, BATCH.label, threat))
    assert (np.abs(ours - art_joint("MIM", model, 0.012, EPS)) > 1e-6).any()


AA_LOSSES: dict[str, Objective] = {"ce": cross_entropy, "dlr": dlr, "dlr-targeted": dlr_targeted}
AA_STEPS = 30


def one(model: AVClassifier, threat: Threat, i: int) -> Problem:
    """A clip alone, labeled with the model's own answer: AutoAttack skips what is wrong already."""
    clip = take(BATCH.clip, torch.tensor([i]))
    ranked = model(clip).argsort(1, descending=True)
    generators = [torch.Generator().manual_seed(7)]
    return Problem(model, clip, ranked[:, 0], threat, generators, target=ranked[:, 1])


def official(
    loss: str,
    view: nn.Module,
    x: Tensor,
    problem: Problem,
    eps: float,
    begin: Tensor | None,
    norm: str = "Linf",
) -> Tensor:
    """The iterate with the highest loss of one run of AutoAttack's APGD."""
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted

    kind = APGDAttack_targeted if loss == "dlr-targeted" else APGDAttack
    theirs = kind(view, n_iter=AA_STEPS, norm=norm, n_restarts=1, eps=eps, seed=7, device="cpu")
    theirs.loss = loss
    theirs.init_hyperparam(x)
    theirs.y_target = problem.target
    torch.manual_seed(7)
    best: Tensor = theirs.attack_single_run(x, problem.label, begin)[0]
    return best


def highest(problem: Problem) -> Clip:
    """The iterate with the highest loss of one run of ours.

    What it fools with has the highest DLR anyhow.
    """
    return APGD(AA_STEPS)._ascend(problem)


@pytest.fixture(scope="module")
def of_five() -> AVClassifier:
    return model_for(classes=5).requires_grad_(False)


@pytest.mark.parametrize("loss", AA_LOSSES)
@pytest.mark.parametrize("eps", [1 / 255, 4 / 255])
def test_apgd_on_frames_equals_autoattack(loss: str, eps: float, of_five: AVClassifier) -> None:
    for i in range(3):
        problem = replace(
            one(of_five, suite(eps, units="pixel")["visual"], i), objective=AA_LOSSES[loss]
        )
        problem = problem if loss == "dlr-targeted" else replace(problem, target=None)
        view = Frames(of_five, problem.clip.audio)
        theirs = official(loss, view, problem.clip.visual[:, 0], problem, eps, None)
        assert float((highest(problem).visual[:, 0] - theirs).abs().max()) <= 1e-6


def test_apgd_in_l2_equals_autoattack(of_five: AVClassifier) -> None:
    threat = suite(0.3, units="pixel", norm="l2")["visual"]
    for i in range(3):
        problem = replace(one(of_five, threat, i), target=None)
        view = Frames(of_five, problem.clip.audio)
        expected = official("ce", view, problem.clip.visual[:, 0], problem, 0.3, None, norm="L2")
        assert float((highest(problem).visual[:, 0] - expected).abs().max()) <= 1e-6


@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_apgd_on_both_at_once_equals_autoattack(loss: str, of_five: AVClassifier) -> None:
    # On one vector of both inputs in [0, 1], where the sound's eps is half of that in [-1, 1].
    # Mapping the sound to there rounds, which may turn the sign of a gradient that is almost zero:
    # how often depends on where in memory the tensors lie.
    eps = 2 / 255
    for i in range(3):
        threat = suite(eps, audio=2.0, units="pixel")["audiovisual"]
        problem = replace(one(of_five, threat, i), objective=AA_LOSSES[loss], target=None)
        begin, again = (
            random_start(problem, fill=True),
            replace(problem, generators=[torch.Generator().manual_seed(7)]),
        )
        x, first = (folded(clip) for clip in (problem.clip, begin))
        theirs = official(loss, Folded(of_five), x, problem, eps, first)
        differ = (folded(highest(again)) - theirs).abs() > 1e-6
        assert float(differ.double().mean()) <= 0.001


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("eps", [1 / 255, 16 / 255])
def test_square_on_frames_equals_autoattack(
    eps: float, rescale: bool, of_five: AVClassifier
) -> None:
    from pyautoattack.square import SquareAttack

    for i in range(3):
        problem = replace(one(of_five, suite(eps, units="pixel")["visual"], i), target=None)
        view, x = Frames(of_five, problem.clip.audio), problem.clip.visual[:, 0]
        theirs = SquareAttack(
            view, norm="Linf", n_queries=150, eps=eps, resc_schedule=rescale, device="cpu"
        )
        theirs.init_hyperparam(x)
        torch.manual_seed(7)
        expected = theirs.attack_single_run(x, problem.label)[1]
        ours = Square(150, rescale_schedule=rescale).perturb(problem).visual[:, 0]
        assert float((ours - expected).abs().max()) <= 1e-6


def test_square_has_autoattacks_standard_schedule() -> None:
    from pyautoattack import AutoAttack

    standard = AutoAttack(lambda x: x, norm="Linf", eps=0.1, device="cpu").square
    ours = built("attack", "square")
    assert ours.queries == standard.n_queries
    for query in range(0, 5000, 3):
        assert ours._share(query) == standard.p_selection(query)


def official_fab(view: nn.Module, x: Tensor, label: Tensor, eps: float) -> Tensor:
    """The smallest change of AutoAttack's FAB-T to the boundary of the likeliest wrong class."""
    from pyautoattack.fab_pt import FABAttack_PT

    theirs = FABAttack_PT(view, n_iter=FAB_STEPS, norm="Linf", eps=eps, device="cpu")
    theirs.target_class = 2  # the second likeliest, the first one being the label
    return theirs.attack_single_run(x, label, is_targeted=True) - x


FAB_STEPS = 40


@pytest.mark.parametrize("condition", ["visual", "audiovisual"])
def test_the_changes_of_fab_are_as_small_as_autoattacks(
    condition: str, of_five: AVClassifier
) -> None:
    eps = 2 / 255
    threat = suite(eps, audio=2.0, units="pixel")[condition]
    for i in range(4):
        problem = one(of_five, threat, i)
        if condition == "visual":
            view: nn.Module = Frames(of_five, problem.clip.audio)
            x = problem.clip.visual[:, 0]
        else:
            view, x = Folded(of_five), folded(problem.clip)
        expected = official_fab(view, x, problem.label, eps).abs().max() / eps
        attack, target = FABT(FAB_STEPS), problem.target
        assert target is not None
        change, distance = attack.smallest_change(problem, target, enough=0.0)
        assert float(distance) == pytest.approx(float(expected), rel=0.01)
        box = UnitBox.around(problem)
        assert box is not None
        moved = box.clip(change)
        assert int(of_five(moved).argmax()) != int(problem.label)


def test_fab_leaves_as_many_clips_as_autoattacks(of_five: AVClassifier) -> None:
    from pyautoattack.fab_pt import FABAttack_PT

    eps = 1.5 / 255
    label = of_five(BATCH.clip).argmax(1)
    expected = []
    for i in range(len(label)):
        view = Frames(of_five, BATCH.clip.audio[i : i + 1])
        theirs = FABAttack_PT(view, n_iter=FAB_STEPS, eps=eps, targeted=True, n_target_classes=4)
        changed = theirs.perturb(BATCH.clip.visual[i : i + 1, 0], label[i : i + 1])
        expected.append(bool(view(changed).argmax() == label[i]))
    threat = suite(eps, units="pixel")["visual"]
    attacked = FABT(FAB_STEPS, targets=4)(of_five, BATCH.clip, label, threat)
    stands = of_five(attacked).argmax(1) == label
    assert 0 < int(stands.sum()) < len(label)
    assert stands.tolist() == expected


class Counted(nn.Module):
    """A model that counts the pictures it gets."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.count = model, 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += len(x)
        logits: Tensor = self.model(x)
        return logits


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hopskipjump_gets_as_near_as_foolboxs_with_as_many_queries(of_five: AVClassifier) -> None:
    import foolbox

    # Both draw at random: with these few queries one clip's ratio may be anything from 1/8 to 3.
    torch.manual_seed(7)
    ratios = []
    for i in range(5):
        problem = one(of_five, suite(1.0, units="pixel")["visual"], i)
        x, counted = problem.clip.visual[:, 0], Counted(Frames(of_five, problem.clip.audio))
        start, fooled = Search(problem, torch.tensor(0), 200).start()
        assert fooled
        attack = foolbox.attacks.HopSkipJumpAttack(steps=4, constraint="linf")
        theirs = attack.run(
            foolbox.PyTorchModel(counted.eval(), bounds=(0, 1), device="cpu"),
            x,
            foolbox.criteria.Misclassification(problem.label),
            starting_points=x + start.view_as(x),
        )
        search = Search(problem, torch.tensor(0), counted.count)
        ours = HopSkipJump().smallest_change(search, enough=0.0)
        assert of_five(search.box.clip(ours[None].repeat(CHUNK, 1)))[0].argmax() != problem.label
        ratios.append(float(ours.abs().max() / (theirs - x).abs().max()))
        assert float(ours.abs().max()) < 0.7 * float(start.abs().max())
    assert float(np.exp(np.mean(np.log(ratios)))) < 2, ratios


def folded(clip: Clip) -> Tensor:
    return torch.cat([(clip.audio.flatten(1) + 1) / 2, clip.visual.flatten(1)], 1)[:, None, None]


class Folded(nn.Module):
    """The model on a picture of one row that holds both inputs, in [0, 1]: (N, 1, 1, S + 3 H W)."""

    def __init__(self, model: AVClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        sound, frames = x.flatten(1).split([AUDIO_SAMPLES, 3 * IMAGE_SIZE**2], 1)
        return self.model(
            Clip((2 * sound - 1).unsqueeze(1), frames.reshape(-1, 1, 3, IMAGE_SIZE, IMAGE_SIZE))
        )
