"""An evaluation through external feature memories: ours against the released way of coding.

    python benchmarks/memory.py --atoms 1024 --clips 4 [--run runs/train/RUN]

The banks hold features of augmented training clips of the run, by default of the undefended model
of the embedded data set, which is trained first if need be; the model's own weights are kept.
Plain, as the released code goes about it: for each of four conditions a gradient through the
unrolled iterations of both modalities, weight gradients included, and a pass on the outcome;
iterations stop for the whole batch at once. Once as released, once with the largest eigenvalue of
Mt M found anew in every pass, and once with all 2000 iterations, where the tolerance is never met.
Ours: `evaluate` on the model as attack.py builds it, with the minimizer's code to a duality gap of
1e-4, and with the released iteration in closed form. Everything in one process, interleaved,
medians. "Kept" is what a gradient keeps for its backward pass.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from sparse_coding import MIXING, WEIGHT, accepted_step, augmented, trained_model
from torch import Tensor, nn
from torch.nn import functional as F

from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.gradients import cross_entropy, value_and_grad
from avrobust.defenses.restorer import Gradient, Restorer
from avrobust.defenses.sparse import ADMM, Bank, Solver, SpectralISTA, objective
from avrobust.evaluation.evaluate import evaluate
from avrobust.models.classifier import AVClassifier, frozen
from avrobust.models.folding import folded
from avrobust.threats import suite
from avrobust.types import MODALITIES, Batch, Clip, Features, Modality

EPS, TOLERANCE, MOST = 0.006, 8e-4, 2000
CONDITIONS = ((False, False), (True, False), (False, True), (True, True))


class PlainMemory(nn.Module):
    """The classifier with memories in the released way."""

    def __init__(
        self,
        model: AVClassifier,
        banks: dict[Modality, Tensor],
        *,
        eigen: bool = False,
        tolerance: float = TOLERANCE,
    ) -> None:
        super().__init__()
        self.model, self.banks, self.eigen, self.tolerance = model, banks, eigen, tolerance
        self.steps: dict[Modality, float] = {}
        for modality in MODALITIES:
            eigenvalue = float(torch.linalg.matrix_norm(banks[modality], 2) ** 2)
            self.steps[modality] = accepted_step(modality, eigenvalue)

    def forward(self, clip: Clip) -> Tensor:
        features = self.model.encode(clip)
        restored = (self.restore(m, f) for m, f in zip(MODALITIES, features, strict=True))
        return self.model.fuse(Features(*restored))

    def restore(self, modality: Modality, features: Tensor) -> Tensor:
        return (
            MIXING * self.code(modality, features) @ self.banks[modality].T
            + (1 - MIXING) * features
        )

    def code(self, modality: Modality, features: Tensor) -> Tensor:
        bank, step = self.banks[modality], self.steps[modality]
        if self.eigen:
            torch.linalg.eigvalsh(bank.T @ bank)
        code = features.new_zeros(len(features), bank.shape[1])
        for _ in range(MOST):
            before = code
            code = F.softshrink(code + step * (features - code @ bank.T) @ bank, step * WEIGHT)
            if (code - before).norm() < self.tolerance:
                break
        return code


def plain_suite(model: nn.Module, clip: Clip, label: Tensor) -> None:
    for move_audio, move_visual in CONDITIONS:
        audio, visual = gradient(model, clip, label)
        moved = Clip(
            (clip.audio + move_audio * EPS * audio.sign()).clamp(-1, 1),
            (clip.visual + move_visual * EPS * visual.sign()).clamp(0, 1),
        )
        with torch.no_grad():
            model(moved).argmax(1)


def gradient(model: nn.Module, clip: Clip, label: Tensor) -> tuple[Tensor, Tensor]:
    audio, visual = (x.clone().requires_grad_() for x in clip)
    model.zero_grad()
    F.cross_entropy(model(Clip(audio, visual)), label).backward()  # type: ignore[no-untyped-call]
    assert audio.grad is not None
    assert visual.grad is not None
    return audio.grad, visual.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--atoms", type=int, default=1024)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    print(
        table(given.run, given.atoms, given.clips, given.repeats).to_markdown(
            index=False, floatfmt=".3g"
        )
    )


@torch.no_grad()
def models(
    run: Path | None, atoms: int, clips: int
) -> tuple[dict[str, PlainMemory], dict[str, AVClassifier], Batch]:
    """The plain ones, ours, and the clips."""
    experiment, parts, model = trained_model(run)
    banks: dict[Modality, Tensor] = {
        m: f.T.contiguous() for m, f in augmented(parts, model, atoms).items()
    }
    plain = {
        "released": PlainMemory(model, banks),
        "released, with eigenvalues": PlainMemory(model, banks, eigen=True),
        "released, 2000 iterations": PlainMemory(model, banks, tolerance=0),
    }
    steps = plain["released"].steps
    closed = SpectralISTA(steps["audio"], steps["visual"], TOLERANCE, MOST)
    ours = {
        "minimizer": remembering(model, banks, ADMM(), "implicit"),
        "closed form": remembering(model, banks, closed, "unrolled"),
    }
    clip, label, key = next(iter(parts.batches("test", experiment.execution)))
    return plain, ours, Batch(Clip(*(x[:clips] for x in clip)), label[:clips], key[:clips])


def remembering(
    model: AVClassifier, banks: dict[Modality, Tensor], solver: Solver, gradient: Gradient
) -> AVClassifier:
    quick = folded(model)
    for modality, bank in banks.items():
        restorer = Restorer(
            modality, len(bank), solver, weight=WEIGHT, mixing=MIXING, gradient=gradient
        )
        restorer.fill(bank.T)
        quick.restorers[modality] = restorer
    return quick


def table(
    run: Path | None = None, atoms: int = 1024, clips: int = 4, repeats: int = 1
) -> pd.DataFrame:
    """One line an evaluation, a way of ours and a plain one."""
    plain, ours, batch = models(run, atoms, clips)
    clip, label, threats = batch.clip, batch.label, suite(EPS)

    def differentiated(model: AVClassifier) -> object:
        with frozen(model):
            return value_and_grad(model, cross_entropy, clip, label, MODALITIES)

    suites: dict[str, Callable[[], object]] = {}
    gradients: dict[str, Callable[[], object]] = {}
    for name, model in ours.items():
        suites[name] = partial(evaluate, model, [batch], FGSM(), threats)
        gradients[name] = partial(differentiated, model)
    for name, plain_model in plain.items():
        suites[name] = partial(plain_suite, plain_model, clip, label)
        gradients[name] = partial(gradient, plain_model, clip, label)
    seconds = in_turns({"FGSM suite": suites, "adaptive gradient": gradients}, repeats)
    kept = {name: kept_megabytes(call) / len(label) for name, call in gradients.items()}
    values = {name: objectives(model, clip) for name, model in (ours | plain).items()}
    return pd.DataFrame(
        {
            "evaluation": what,
            "ours": mine,
            "against": theirs,
            "ratio": seconds[what, theirs] / seconds[what, mine],
            "wanted": wanted,
            "ours, ms a clip": 1e3 * seconds[what, mine] / len(label),
            "theirs": 1e3 * seconds[what, theirs] / len(label),
            "ours, objective": values[mine],
            "theirs, objective": values[theirs],
            "ours, kept MB a clip": kept[mine],
            "theirs, kept": kept[theirs],
        }
        for what, wanted in (("FGSM suite", 100), ("adaptive gradient", 20))
        for mine in ours
        for theirs in plain
    )


def in_turns(
    groups: dict[str, dict[str, Callable[[], object]]], repeats: int
) -> dict[tuple[str, str], float]:
    """The median seconds of each call, after a round that does not count."""
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(1 + repeats):
        for what, calls in groups.items():
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                times.setdefault((what, name), []).append(time.perf_counter() - started)
    return {key: statistics.median(found[1:]) for key, found in times.items()}


@torch.no_grad()
def objectives(model: AVClassifier | PlainMemory, clip: Clip) -> str:
    """What is minimized, at the codes of the clips' sounds and pictures, the mean of each."""
    found = []
    encoder = model.model if isinstance(model, PlainMemory) else model
    for modality, features in zip(MODALITIES, encoder.encode(clip), strict=True):
        if isinstance(model, PlainMemory):
            bank, code = Bank.of(model.banks[modality]), model.code(modality, features)
        else:
            restorer = model.restorers[modality]
            assert isinstance(restorer, Restorer)
            bank = restorer.bank
            code = restorer.solver.solve(bank, features, WEIGHT, modality).code
        found.append(f"{float(objective(bank, features, code, WEIGHT).mean()):.1f}")
    return ", ".join(found)


def kept_megabytes(call: Callable[[], object]) -> float:
    """What the graph of a call keeps for its backward pass."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        call()
    return sum(seen.values()) / 1e6


if __name__ == "__main__":
    main()
