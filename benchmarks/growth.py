"""How the cost of an evaluation grows: with clips, eps values, conditions, frames, memory size.

    python benchmarks/growth.py --repeats 3

Small clips and nets, so that one run takes a second or less; sizes are doubled thrice. The exponent
is the slope of the logarithm of the seconds over that of the size: 1 is linear, less is better. A
constant part lowers it, so the cost of the last doubling, in percent, is given beside it (100:
linear, 300: quadratic). Of the three conditions the last moves both inputs and costs as much as the
other two. Medians of runs in turns.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch
from made import medians
from numpy import log
from scipy.stats import linregress
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.fgsm import FGSM
from avrobust.attacks.pgd import PGD
from avrobust.defenses.restorer import Restorer
from avrobust.defenses.sparse import ADMM
from avrobust.evaluation.evaluate import EvaluationCache, evaluate
from avrobust.models.classifier import AVClassifier
from avrobust.models.encoders.resnet import ResNet
from avrobust.models.encoders.waveform import Waveform
from avrobust.models.folding import folded
from avrobust.models.fusion.concat import Concat
from avrobust.threats import suite
from avrobust.types import Batch, Clip

SIZES = (1, 2, 4, 8)
CONDITIONS: tuple[str, ...] = ("audio", "visual", "audiovisual")
CLASSES, BATCH = 11, 8


def small_model() -> AVClassifier:
    """The paper's classifier."""
    audio, visual = Waveform(), ResNet()
    model = AVClassifier(audio, visual, Concat(audio_dim=512, visual_dim=512), classes=CLASSES)
    return folded(model.eval().to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def clips(count: int, frames: int = 1) -> list[Batch]:
    """Batches of noise: 64 x 64 pixels, 0.74 s."""
    made = []
    for at in range(0, count, BATCH):
        size = min(BATCH, count - at)
        clip = Clip(torch.rand(size, 1, 8192) * 2 - 1, torch.rand(size, frames, 3, 64, 64))
        made.append(
            Batch(clip, torch.arange(size) % CLASSES, tuple(str(at + i) for i in range(size)))
        )
    return made


def evaluations(model: AVClassifier) -> dict[str, tuple[Sequence[int], Callable[[int], object]]]:
    """By what grows: its sizes, and the evaluation of one size."""

    def run(
        batches: list[Batch],
        attack: Attack,
        eps: float = 0.006,
        conditions: int = 3,
        cache: EvaluationCache | None = None,
    ) -> object:
        threats = suite(eps)
        chosen = {name: threats[name] for name in CONDITIONS[:conditions]}
        return evaluate(model, batches, attack, chosen, cache=cache)

    numbers = {n: clips(BATCH * n) for n in SIZES}
    films = {n: clips(BATCH // 2, frames=n) for n in SIZES}

    def eps_values(count: int) -> None:
        cache: EvaluationCache = {}  # as jobs of one process have it
        for i in range(count):
            run(numbers[1], FGSM(), eps=0.001 * (1 + i), cache=cache)

    return {
        "clips, FGSM suite": (
            [BATCH * n for n in SIZES],
            lambda n: run(numbers[n // BATCH], FGSM()),
        ),
        "eps values, FGSM suite": (SIZES, eps_values),
        "conditions, PGD": ((1, 2, 3), lambda n: run(numbers[1], PGD(4), conditions=n)),
        "frames, FGSM suite": (SIZES, lambda n: run(films[n], FGSM())),
    }


def memories(
    dim: int = 256, count: int = 8
) -> dict[str, tuple[Sequence[int], Callable[[int], object]]]:
    """The same of banks of features like those of a trained net: few directions, none negative."""
    rng = torch.Generator().manual_seed(0)
    base = torch.rand(64, dim, generator=rng)

    def features(number: int) -> Tensor:
        mixed = torch.rand(number, 64, generator=rng).pow(8) @ base
        return mixed + 0.1 * torch.rand(number, dim, generator=rng)

    sizes = [dim * n for n in SIZES]
    banks, asked = {n: features(n) for n in sizes}, features(count)
    made = {n: _restorer(dim) for n in sizes}
    for n, restorer in made.items():
        restorer.fill(banks[n])

    def gradient(n: int) -> Tensor:
        free = asked.clone().requires_grad_()
        return torch.autograd.grad(made[n](free).sum(), free)[0]

    return {
        "atoms, restoring and its gradient": (sizes, gradient),
        "atoms, filling the memory (once)": (sizes, lambda n: _restorer(dim).fill(banks[n])),
    }


def _restorer(dim: int) -> Restorer:
    return Restorer("audio", dim, ADMM(), weight=0.1, mixing=0.5, gradient="implicit")


def table(repeats: int = 3) -> pd.DataFrame:
    """Seconds at each size and how they grow, one line for each thing that grows."""
    torch.manual_seed(0)
    rows = {**evaluations(small_model()), **memories()}
    return pd.DataFrame([_line(name, sizes, call, repeats) for name, (sizes, call) in rows.items()])


def _line(
    name: str, sizes: Sequence[int], call: Callable[[int], object], repeats: int
) -> dict[str, object]:
    found = medians({str(n): partial(call, n) for n in sizes}, repeats)
    seconds = [found[str(n)] for n in sizes]
    slope = linregress(log(sizes), log(seconds)).slope
    growth = (seconds[-1] / seconds[-2] - 1) / (
        sizes[-1] / sizes[-2] - 1
    )  # of what linear would add
    return {
        "growing": name,
        "sizes": ", ".join(map(str, sizes)),
        "seconds": ", ".join(f"{s:.3f}" for s in seconds),
        "exponent": slope,
        "last step, % of linear": 100 * growth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    print(table(parser.parse_args().repeats).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
