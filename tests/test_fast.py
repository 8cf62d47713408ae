"""Faster evaluations: other rounding, batch sizes from memory, and no waiting for the GPU."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode

from avrobust.attacks.base import attack_problem
from avrobust.attacks.gradients import cross_entropy
from avrobust.data.layout import Format
from avrobust.errors import UserError
from avrobust.evaluation.batch_size import bytes_of_a_clip, choose_batch_size
from avrobust.evaluation.evaluate import evaluate
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.tasks import attack as attack_task
from avrobust.tasks import loaded as loaded_task
from avrobust.threats import suite
from avrobust.types import Clip, Record
from tests.support import NARROW, SHORT, batch_of, built, clip_of, experiment_for, model_for

SUITE = suite(0.02, visual=8.0)
FORM = Format(image_size=32, audio_samples=4096)


def changed(ours: list[Record], theirs: list[Record]) -> float:
    """The share of verdicts that differ."""
    return sum(a.correct != b.correct for a, b in zip(ours, theirs, strict=True)) / len(ours)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mim"])
def test_no_step_waits_for_the_gpu(name: str) -> None:
    """A tensor without values, as FakeTensorMode has them, cannot be asked for one on the host."""
    model, attack = folded(model_for()), built("attack", name)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        clip, label = (
            Clip(*map(mode.from_tensor, clip_of(3))),
            mode.from_tensor(torch.zeros(3, dtype=torch.long)),
        )
        with attack_problem(
            model, clip, label, SUITE["audiovisual"], None, cross_entropy
        ) as problem:
            assert problem is not None
            assert isinstance(attack.clips(problem).visual, FakeTensor)
            with pytest.raises(DataDependentOutputException):  # that the test would notice
                problem.value_and_grad(clip).loss.sum().item()


@pytest.mark.parametrize("defense", ["none", "minsim_exfmem"])
def test_half_precision_turns_few_verdicts(defense: str) -> None:
    model, attack, batch = model_for(f"defense={defense}"), built("attack", "fgsm"), batch_of(12)
    exact = evaluate(model, [batch], attack, SUITE)
    with torch.autocast("cpu", torch.bfloat16):
        quick = evaluate(model, [batch], attack, SUITE)
    assert [r.loss for r in quick] != [r.loss for r in exact]
    assert changed(quick, exact) <= 0.1


def test_the_memory_restores_in_full_precision() -> None:
    restorer = model_for("defense=exfmem").restorers["audio"]
    embedding = torch.rand(4, 16, requires_grad=True)
    exact = torch.autograd.grad(restorer(embedding).square().sum(), embedding)[0]
    with torch.autocast("cpu", torch.bfloat16):
        quick = torch.autograd.grad(restorer(embedding).square().sum(), embedding)[0]
    assert torch.equal(quick, exact)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # of torch about itself
def test_compiled_encoders_turn_no_verdict() -> None:
    model, attack = model_for(), built("attack", "fgsm")
    compiled = folded(model)
    loaded_task._compile(compiled)
    for seed in (0, 1):  # other clips, and another number of them
        batch = batch_of(12 - seed, seed=seed)
        assert (
            changed(
                evaluate(compiled, [batch], attack, SUITE), evaluate(model, [batch], attack, SUITE)
            )
            == 0
        )


def test_shortcuts_reach_the_evaluation(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[AVClassifier] = []
    monkeypatch.setattr(loaded_task, "_compile", asked.append)
    base = (
        f"runs={tmp_path}",
        "dataset=folder",
        f"dataset.root={prepared}",
        "attack=fgsm",
        *NARROW,
        *SHORT,
    )
    plain = attack_task.main(experiment_for("attack", *base))
    assert not asked
    quick = attack_task.main(
        experiment_for("attack", *base, "amp=true", "compile=true", "batch_size=auto")
    )
    assert len(asked) == 1
    assert quick.run_id != plain.run_id
    assert quick.model == plain.model


def test_jobs_on_one_model_share_it_until_it_is_trained_again(
    prepared: Path, tmp_path: Path
) -> None:
    base = (
        f"runs={tmp_path}",
        "dataset=folder",
        f"dataset.root={prepared}",
        "attack=fgsm",
        *NARROW,
        *SHORT,
    )

    def row(eps: float) -> tuple[dict[str, Any], object]:
        result = attack_task.main(experiment_for("attack", *base, f"eps={eps}"))
        assert loaded_task._last is not None
        return result.accuracy, loaded_task._last[1].model

    _, first = row(0.01)
    together, second = row(0.02)
    assert second is first
    checkpoint = next(tmp_path.glob("train/*/checkpoint.ckpt"))
    checkpoint.touch()  # as a training that gives the same weights leaves it
    for result in tmp_path.glob("attack/*/result.json"):
        result.unlink()
    alone, third = row(0.02)
    assert third is not first
    assert alone == together


@pytest.mark.parametrize("size", ["0", "-1", "2.5", "many", "null", "true"])
def test_a_batch_size_that_is_none_is_refused_in_one_line(size: str) -> None:
    with pytest.raises(UserError, match=r"^batch_size=.*must be an integer of at least 1 or auto$"):
        experiment_for("attack", f"batch_size={size}")


def test_the_batch_follows_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_for(warm=False)
    each = bytes_of_a_clip(model, FORM)
    for clips, expected in ((0.5, 1), (7.5, 7), (1e9, 32)):
        free = SimpleNamespace(available=int(2 * clips * each))  # half of which is taken
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: free)
        assert choose_batch_size("auto", model, FORM, "cpu") == expected
    assert choose_batch_size(7, model, FORM, "cpu") == 7


def test_a_clip_costs_what_its_activations_weigh() -> None:
    """Twice the values that the layers hand on, and the attack's copies, within a factor of two."""
    model = model_for(warm=False)
    clip = clip_of(1)
    form = FORM._replace(audio_samples=clip.audio.shape[-1], image_size=clip.visual.shape[-1])
    made: list[int] = []
    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, x, y: made.append(y.nbytes))
    model(clip)
    assert (
        sum(made) / 2
        < bytes_of_a_clip(model, form) - 12 * sum(x.nbytes for x in clip)
        < 4 * sum(made)
    )
