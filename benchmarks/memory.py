"""An evaluation through external feature memories: ours against the released way of coding, on one trained model.

    python benchmarks/memory.py --atoms 1024 --clips 8 [--run runs/train/RUN]

The banks hold features of augmented training clips of the run, by default of the undefended model of the embedded data
set, which is trained first if need be; the model's own weights are kept. Plain, as the released code goes about it: for
each of four conditions a gradient through the unrolled iterations of both modalities, weight gradients included, and a
pass on the outcome; iterations stop for the whole batch at once. Once with the step size given, and once with the
largest eigenvalue of Mt M found anew in every pass. Ours: `evaluate` on the model as attack.py builds it, to a duality
gap of 1e-4. Everything in one process, interleaved, medians. "Kept" is what a gradient keeps for its backward pass.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from made import composed
from sparse_coding import WEIGHT, augmented
from torch import Tensor, nn
from torch.nn import functional as F

from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.problem import cross_entropy, differentiate
from avrobust.attacks.threat import suite
from avrobust.defenses.restorer import Restorer
from avrobust.defenses.sparse import ADMM, objective
from avrobust.evaluation import evaluate
from avrobust.folding import folded
from avrobust.model import AVClassifier, frozen
from avrobust.runs import Run
from avrobust.tasks.parts import EvaluationBatches, build_parts
from avrobust.tasks.train import load_trained, trained
from avrobust.types import MODALITIES, Batch, Clip, Features, Modality

EPS, MIXING, TOLERANCE, MOST = 0.006, 0.5, 8e-4, 2000
STEPS: dict[Modality, float] = {"audio": 1e-6, "visual": 6e-6}  # the released ones for MUSIC
CONDITIONS = ((False, False), (True, False), (False, True), (True, True))


class PlainMemory(nn.Module):
    """The classifier with memories in the released way."""

    def __init__(self, model: AVClassifier, banks: dict[Modality, Tensor], *, eigen: bool) -> None:
        super().__init__()
        self.model, self.banks, self.eigen = model, banks, eigen
        self.steps = {m: min(STEPS[m], 0.9 / float(torch.linalg.matrix_norm(banks[m], 2) ** 2)) for m in MODALITIES}

    def forward(self, clip: Clip) -> Tensor:
        features = self.model.encode(clip)
        restored = (self.restore(m, f) for m, f in zip(MODALITIES, features, strict=True))
        return self.model.fuse(Features(*restored))

    def restore(self, modality: Modality, features: Tensor) -> Tensor:
        return MIXING * self.code(modality, features) @ self.banks[modality].T + (1 - MIXING) * features

    def code(self, modality: Modality, features: Tensor) -> Tensor:
        bank, step = self.banks[modality], self.steps[modality]
        if self.eigen:
            torch.linalg.eigvalsh(bank.T @ bank)
        code = features.new_zeros(len(features), bank.shape[1])
        for _ in range(MOST):
            before = code
            code = F.softshrink(code + 2 * step * (features - code @ bank.T) @ bank, step * WEIGHT)
            if (code - before).norm() < TOLERANCE:
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
    F.cross_entropy(model(Clip(audio, visual)), label).backward()
    assert audio.grad is not None
    assert visual.grad is not None
    return audio.grad, visual.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--atoms", type=int, default=1024)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(table(given.run, given.atoms, given.clips, given.repeats).to_markdown(index=False, floatfmt=".3g"))


@torch.no_grad()
def models(run: Path | None, atoms: int, clips: int) -> tuple[dict[str, PlainMemory], AVClassifier, Batch]:
    """The plain ones, ours, and the clips."""
    config = json.loads((run / "result.json").read_text())["config"] if run else composed("train")
    parts = build_parts(config)
    model = load_trained(Run("train", run.name, run) if run else trained(config, parts), parts.model).eval()
    banks: dict[Modality, Tensor] = {m: f.T.contiguous() for m, f in augmented(parts, model, atoms).items()}
    plain = {
        "released steps": PlainMemory(model, banks, eigen=False),
        "released steps, eigenvalues in every pass": PlainMemory(model, banks, eigen=True),
    }
    quick = folded(model)
    for modality, bank in banks.items():
        restorer = Restorer(modality, len(bank), ADMM(), weight=WEIGHT, mixing=MIXING, gradient="implicit")
        restorer.fill(bank.T)
        quick.restorers[modality] = restorer
    loaded = next(iter(EvaluationBatches(config, parts, "test")))
    clip, label, key = loaded
    return plain, quick, Batch(Clip(*(x[:clips] for x in clip)), label[:clips], key[:clips])


def table(run: Path | None = None, atoms: int = 1024, clips: int = 8, repeats: int = 3) -> pd.DataFrame:
    """One line an evaluation and baseline."""
    plain, ours, batch = models(run, atoms, clips)
    clip, label, threats = batch.clip, batch.label, suite(EPS)

    def our_gradient() -> object:
        with frozen(ours):
            return differentiate(ours, cross_entropy, clip, label, (True, True))

    calls: dict[str, Callable[[], object]] = {
        "FGSM suite, ours": lambda: evaluate(ours, [batch], FGSM(), threats),
        "adaptive gradient, ours": our_gradient,
    }
    for name, model in plain.items():
        calls[f"FGSM suite, {name}"] = lambda model=model: plain_suite(model, clip, label)  # type: ignore[misc]
        calls[f"adaptive gradient, {name}"] = lambda model=model: gradient(model, clip, label)  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - started) / len(label))
    median = {name: statistics.median(found[1:]) for name, found in times.items()}
    objectives = {name: mean_objectives(ours, model, clip) for name, model in plain.items()}
    kept = {
        "ours": kept_megabytes(our_gradient),
        **{n: kept_megabytes(calls[f"adaptive gradient, {n}"]) for n in plain},
    }
    return pd.DataFrame(
        {
            "evaluation": what,
            "against": name,
            "plain, s a clip": median[f"{what}, {name}"],
            "ours, s a clip": median[f"{what}, ours"],
            "ratio": median[f"{what}, {name}"] / median[f"{what}, ours"],
            "wanted": wanted,
            "plain, objective (audio, visual)": "{:.1f}, {:.1f}".format(*objectives[name][0]),
            "ours, objective": "{:.1f}, {:.1f}".format(*objectives[name][1]),
            "plain, kept MB a clip": kept[name] / len(label),
            "ours, kept MB a clip": kept["ours"] / len(label),
        }
        for what, wanted in (("FGSM suite", 100), ("adaptive gradient", 20))
        for name in plain
    )


@torch.no_grad()
def mean_objectives(ours: AVClassifier, plain: PlainMemory, clip: Clip) -> tuple[list[float], list[float]]:
    """What is minimised, at the plain codes and at ours, of both modalities."""
    found: tuple[list[float], list[float]] = ([], [])
    for modality, features in zip(MODALITIES, plain.model.encode(clip), strict=True):
        restorer = ours.restorers[modality]
        assert isinstance(restorer, Restorer)
        codes = plain.code(modality, features), restorer.solver.solve(restorer.bank, features, WEIGHT, modality).code
        for values, code in zip(found, codes, strict=True):
            values.append(float(objective(restorer.bank, features, code, WEIGHT).mean()))
    return found


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
