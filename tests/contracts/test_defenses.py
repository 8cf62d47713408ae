"""What every defense keeps to; a new option in configs/defense is tested the day it appears."""

import copy
from collections.abc import Callable
from typing import final, get_args

import pytest
import torch
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.cache import EmbeddingCache
from avrobust.attacks.gradients import cross_entropy
from avrobust.attacks.losses import cosine
from avrobust.attacks.problem import Problem
from avrobust.defenses.base import Defense
from avrobust.defenses.prototypes import Centers
from avrobust.errors import UserError
from avrobust.evaluation.summaries import worst_case
from avrobust.experiments.settings import Adaptive
from avrobust.models.classifier import AVClassifier
from avrobust.tasks.defend import declared_objectives
from avrobust.types import Clip, Features, Record
from avrobust.utils.randomness import generator
from tests.support import batch_of, built, model_for, options

Build = Callable[..., AVClassifier]


@pytest.fixture(params=options("defense"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def defense(name: str) -> Defense:
    found: Defense = built("defense", name)
    return found


def model(name: str) -> AVClassifier:
    return model_for(f"defense={name}").train()


def step(defense: Defense, model: AVClassifier, seed: int = 0) -> Tensor:
    batch = batch_of(6)
    generators = [generator(seed, "defense", key) for key in batch.key]
    return defense.train(model, batch.clip, batch.label, generators).loss


def test_the_loss_is_finite_and_reaches_every_parameter(defense: Defense, name: str) -> None:
    trained = model(name)
    loss = step(defense, trained)
    assert loss.isfinite()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained.parameters())


def test_steps_lower_the_loss_on_a_fixed_batch(defense: Defense, name: str) -> None:
    trained = model(name)
    sgd = torch.optim.SGD(trained.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        sgd.zero_grad()
        loss = step(defense, trained)
        loss.backward()
        sgd.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_the_model_stays_in_training_mode_with_parameters_that_learn(
    defense: Defense, name: str
) -> None:
    trained = model(name)
    step(defense, trained)
    assert all(module.training for module in trained.modules())
    assert all(p.requires_grad for p in trained.parameters())


def test_the_same_generators_give_the_same_loss(defense: Defense, name: str) -> None:
    first, second = model(name), None
    second = copy.deepcopy(first)
    assert torch.equal(step(defense, first), step(defense, second))


def test_every_objective_is_a_loss_of_each_clip_with_gradient_to_the_inputs(
    defense: Defense, name: str
) -> None:
    batch, attacked = batch_of(4), model(name).eval()
    clip = Clip(*(x.requires_grad_() for x in batch.clip))
    for objective in defense.objectives(attacked).values():
        losses = objective(attacked, clip, batch.label)
        assert losses.shape == (4,)
        assert torch.autograd.grad(losses.sum(), clip, allow_unused=True) != (None, None)


def test_the_whole_defense_travels_in_the_weights(name: str) -> None:
    trained, fresh = model(name).eval(), model_for(f"defense={name}", "seed=1").eval()
    fresh.load_state_dict(trained.state_dict())
    clip = batch_of(4).clip
    with torch.no_grad():
        torch.testing.assert_close(fresh(clip), trained(clip))


def test_what_is_learned_has_an_optimizer_group(defense: Defense, name: str) -> None:
    trained = model(name)
    grouped = [p for group in defense.param_groups(trained) for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in trained.extra_modules.parameters()}


def test_beginning_again_gives_the_same(defense: Defense, name: str) -> None:
    trained = model(name)
    first = []
    for _ in range(2):
        defense.setup(trained, [batch_of(6), batch_of(6, seed=1)])
        first.append(copy.deepcopy(trained.state_dict()))
    assert all(torch.equal(first[0][key], value) for key, value in first[1].items())
    assert all(module.training for module in trained.modules())


def test_a_held_modality_is_restored_as_well(name: str) -> None:
    attacked, batch = model(name).eval(), batch_of(4)
    with torch.no_grad():
        held = EmbeddingCache(attacked, batch.clip, batch.label).model("audio")
        torch.testing.assert_close(held(batch.clip), attacked(batch.clip))


def test_the_paper_adds_the_cosine_wherever_there_is_one(defense: Defense, name: str) -> None:
    """As the released script does, which does not look at the defense."""
    attacked, batch = model(name).eval(), batch_of(4)
    ((objective, loss),) = declared_objectives(defense, attacked, "paper").items()
    with torch.no_grad():
        added = loss(attacked, *batch[:2]) - cross_entropy(attacked, *batch[:2])
        if len(attacked.fusion.uses) == 1:
            assert objective == "cross_entropy"
            assert not added.any()
        else:
            assert objective == "plus_cosine"
            restored = attacked.restore_all(attacked.encode(batch.clip))
            torch.testing.assert_close(added, cosine(restored), rtol=1e-4, atol=1e-5)


def test_embeddings_of_two_sizes_have_no_cosine_to_add() -> None:
    attacked = model_for("audio.widths=[8,8,8,8]")
    for adaptive in get_args(Adaptive):
        objectives = declared_objectives(built("defense", "none"), attacked, adaptive)
        assert objectives == {"cross_entropy": cross_entropy}


def test_the_worst_attack_tries_what_the_paper_does(defense: Defense, name: str) -> None:
    attacked = model(name)
    worst = declared_objectives(defense, attacked, "worst")
    assert declared_objectives(defense, attacked, "paper").items() <= worst.items()
    assert worst["cross_entropy"] is cross_entropy


def test_a_memory_compares_restored_embeddings_in_training_and_attack() -> None:
    trained, batch = model("minsim_exfmem").eval(), batch_of(6)
    features = trained.encode(batch.clip)
    restored = Features(
        trained.restorers["audio"](features.audio), trained.restorers["visual"](features.visual)
    )
    plain = cross_entropy(trained, batch.clip, batch.label)
    assert (cosine(restored) - cosine(features)).abs().max() > 1e-3
    expected = {"restored": cosine(restored), "raw": cosine(features)}
    for stage, similarity in expected.items():
        base = built("defense", "minsim", cosine=stage)
        # The released one is the default.
        settings = {} if stage == "restored" else {"base": base}
        defense = built("defense", "minsim_exfmem", **settings)
        torch.testing.assert_close(step(defense, trained), plain.mean() + similarity.mean())
        objectives = defense.objectives(trained)
        for name, sign in (("plus_cosine", 1), ("minus_cosine", -1)):
            for twin in ("", "_bpda"):
                loss = objectives[name + twin](trained, batch.clip, batch.label)
                torch.testing.assert_close(loss, plain + sign * similarity)


def test_without_a_memory_there_is_one_cosine() -> None:
    trained = model("minsim")
    losses = []
    for stage in ("restored", "raw"):
        losses.append(step(built("defense", "minsim", cosine=stage), copy.deepcopy(trained)))
    assert torch.equal(*losses)


def test_minsim_lowers_the_cosine_and_maxsim_raises_it() -> None:
    found = {}
    for name in ("minsim", "maxsim"):
        trained, batch = model(name), batch_of(6)
        sgd = torch.optim.SGD(trained.parameters(), lr=0.05)
        for _ in range(10):
            sgd.zero_grad()
            step(built("defense", name), trained).backward()
            sgd.step()
        with torch.no_grad():
            found[name] = float(cosine(trained.encode(batch.clip)).mean())
    assert found["minsim"] < found["maxsim"] - 0.1


def test_the_cosine_is_signed_and_of_each_clip() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    v = torch.tensor([[-2.0, 0.0], [3.0, 3.0], [1.0, 0.0]])
    torch.testing.assert_close(cosine(Features(a, v)), torch.tensor([-1.0, 1.0, 0.0]))


def test_the_adaptive_objectives_are_cross_entropy_and_both_signs_of_the_cosine() -> None:
    batch, attacked = batch_of(4), model("minsim").eval()
    objectives = built("defense", "minsim").objectives(attacked)
    plain, plus, minus = (objectives[n](attacked, batch.clip, batch.label) for n in objectives)
    torch.testing.assert_close(plus - plain, cosine(attacked.encode(batch.clip)))
    torch.testing.assert_close(plain - minus, plus - plain)


@pytest.mark.parametrize("defense", ["minsim", "maxsim"])
def test_a_similarity_of_one_modality_is_refused(defense: str) -> None:
    with pytest.raises(UserError, match="compares the embeddings of both modalities"):
        model_for(f"defense={defense}", "fusion=audio_only")
    with pytest.raises(UserError, match="sizes 8 and 16"):
        model_for(f"defense={defense}", "audio.widths=[8,8,8,8]")


def test_a_unimodal_defense_takes_the_place_of_the_fusion() -> None:
    assert model_for("defense=unimodal_audio", "fusion=sum").fusion.uses == ("audio",)
    assert model_for("defense=unimodal_visual", "fusion=film").fusion.uses == ("visual",)


def test_the_worst_of_several_attacks_is_taken_clip_by_clip() -> None:
    def record(key: str, correct: bool, loss: float) -> Record:
        return Record(key, "audio", 0, 0 if correct else 1, correct, 0.5, loss, 0.0, 0.0)

    first = [record("a", True, 0.2), record("b", False, 1.0), record("c", True, 0.3)]
    second = [record("a", False, 0.9), record("b", False, 2.0), record("c", True, 0.1)]
    assert worst_case([first, second]) == [second[0], second[1], first[2]]


def test_the_banks_hold_the_first_features_of_the_clips() -> None:
    trained, batches = model("exfmem"), [batch_of(6), batch_of(6, seed=1)]
    for size, expected in ((8, 8), (100, 12)):
        built("defense", "exfmem", size=size).setup(trained, batches)
        atoms = {m: r.atoms for m, r in trained.restorers.items()}
        with torch.no_grad():
            features = [trained.eval().encode(b.clip) for b in batches]
        trained.train()
        for modality, bank in atoms.items():
            whole = torch.cat([getattr(f, modality) for f in features])
            torch.testing.assert_close(bank.T, whole[:expected])


def test_an_augmented_bank_is_normalized_as_in_training_and_leaves_the_statistics() -> None:
    trained = model("exfmem")
    before = {k: v.clone() for k, v in trained.state_dict().items() if "running" in k}
    clean, augmented = (banks(trained, source) for source in ("clean", "augmented"))
    assert not torch.allclose(clean, augmented, atol=1e-3)
    assert all(torch.equal(trained.state_dict()[k], v) for k, v in before.items())


def banks(trained: AVClassifier, source: str) -> Tensor:
    built("defense", "exfmem", source=source).setup(trained, [batch_of(6)])
    return next(iter(trained.restorers.values())).get_buffer("atoms").clone()


def test_the_memory_has_the_objectives_of_its_base_and_their_straight_through_twins() -> None:
    names = list(built("defense", "minsim_exfmem").objectives(model("minsim_exfmem")))
    assert names == [
        *(base := ["cross_entropy", "plus_cosine", "minus_cosine"]),
        *(f"{n}_bpda" for n in base),
    ]


def test_settings_of_the_memory_that_make_no_sense() -> None:
    for wrong in ({"mixing": 1.5}, {"weight": -1.0}, {"size": 0}):
        with pytest.raises(UserError, match=f"defense: {next(iter(wrong))} must be"):
            built("defense", "exfmem", **wrong)
    with pytest.raises(
        UserError, match="ReleasedISTA stops short of; choices: unrolled, straight_through"
    ):
        model_for("defense=exfmem", "defense/solver=ista_released")


def test_the_conformity_loss_by_hand() -> None:
    centers = Centers(3, 2)
    with torch.no_grad():
        centers.pull.copy_(torch.tensor([[0.0, 0], [9, 9], [9, 9]]))
        centers.push.copy_(torch.tensor([[0.0, 0], [3, 4], [6, 8]]))
    features, label = torch.tensor([[0.0, 2.0]]), torch.tensor([0])
    to_others = (3**2 + 2**2) ** 0.5 + (6**2 + 6**2) ** 0.5
    expected = 2 - (to_others + 5 + 10) / 2
    torch.testing.assert_close(centers(features, label), torch.tensor([expected]))


def test_the_centers_begin_at_the_class_means() -> None:
    trained, batch = model("pcl"), batch_of(6)
    built("defense", "pcl").setup(trained, [batch])
    with torch.no_grad():
        features = trained.eval().encode(batch.clip).audio
    centers = trained.extra_modules["centers_audio"]
    assert isinstance(centers, Centers)
    torch.testing.assert_close(centers.pull[1], features[batch.label == 1].mean(0))
    assert torch.equal(centers.pull, centers.push)


def test_trades_refuses_an_attack_that_leaves_clips_out() -> None:
    trades = built("defense", "trades", attack=built("attack", "apgd_ce", steps=4, stop=True))
    with pytest.raises(ValueError, match="whole batch"):
        step(trades, model("trades"))


@final
class _AtTheCleanClips(Attack):
    """Returns the clean clips and keeps the loss that it was to maximize there."""

    def __init__(self) -> None:
        self.losses = torch.empty(0)

    def perturb(self, problem: Problem) -> Clip:
        self.losses = problem.loss_and_logits(problem.clip)[0]
        return problem.clip


def test_trades_measures_the_divergence_between_two_predictions_in_eval_mode() -> None:
    # The clean prediction diverges from itself by nothing. A target of training mode would differ
    # from the attacked model's prediction by what BatchNorm makes of the batch's own statistics.
    attack, trained = _AtTheCleanClips(), model("trades")
    step(built("defense", "trades", attack=attack), trained)
    assert float(attack.losses.abs().max()) < 1e-6


def test_the_loss_of_trades_is_that_of_training_mode() -> None:
    trained, batch = model("trades"), batch_of(6)
    tracked = next(buffer for name, buffer in trained.named_buffers() if "tracked" in name)
    before = int(tracked)
    expected = torch.nn.functional.cross_entropy(copy.deepcopy(trained)(batch.clip), batch.label)
    trades = built("defense", "trades", attack=_AtTheCleanClips())
    torch.testing.assert_close(step(trades, trained), expected)
    # The clean and the adversarial batch of training, and no other, enter BatchNorm's statistics.
    assert int(tracked) == before + 2
