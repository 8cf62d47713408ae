"""Sparse coding on a bank of features: ours, the released truncated ISTA, and scikit-learn.

    python benchmarks/sparse_coding.py --atoms 1024 --clips 8 [--run runs/train/RUN]

The bank holds features of augmented training clips, the codes are those of test clips, both of the
run's model, by default the undefended one of the embedded data set, which is trained first if need
be. The released step sizes are those for MUSIC, or the largest that the released code accepts.
"From released" is how far restored embeddings lie from those of the released iteration: median and
largest. Times are processor time of one thread, so that a busy machine harms them least, in turns,
the median of several; the gradient is that of a random vector through the restored features.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from made import compose_experiment
from sklearn.decomposition import sparse_encode
from threadpoolctl import threadpool_limits
from torch import Tensor

from avrobust.data.clips import collate
from avrobust.defenses.restorer import Restorer
from avrobust.defenses.sparse import ADMM, Bank, ReleasedISTA, Solver, SpectralISTA, objective
from avrobust.experiments.result_files import read_result
from avrobust.experiments.results import TrainResult
from avrobust.experiments.runs import Run
from avrobust.experiments.settings import Experiment
from avrobust.models.classifier import AVClassifier, embed
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import Parts, build_parts
from avrobust.tasks.train import trained
from avrobust.types import MODALITIES, Modality

WEIGHT, MIXING = 0.1, 0.5
RELEASED_STEPS: dict[Modality, float] = {"audio": 1e-6, "visual": 6e-6}  # for MUSIC
warnings.filterwarnings("ignore", module="sklearn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--atoms", type=int, default=1024)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    experiment, parts, model = trained_model(given.run)
    atoms = augmented(parts, model, given.atoms)
    features, _ = embed(model, parts.batches("test", experiment.execution), given.clips)
    lines = []
    for modality in MODALITIES:
        bank = Bank.of(atoms[modality].T.contiguous())
        lines += compare(modality, bank, getattr(features, modality), given.repeats)
    print(pd.DataFrame(lines).to_markdown(index=False, floatfmt=".4g"))


def trained_model(folder: Path | None) -> tuple[Experiment, Parts, AVClassifier]:
    """The experiment, data and model of a training run.

    Args:
        folder: of a finished run; None for that of `python train.py`, trained if need be.
    """
    experiment = finished_training(folder) if folder else compose_experiment("train")
    parts = build_parts(experiment.model, experiment.execution)
    run = Run("train", folder.name, folder) if folder else trained(experiment, parts)
    return experiment, parts, load_trained(run, parts.model).eval()


def finished_training(folder: Path) -> Experiment:
    """The experiment of a finished training."""
    result = read_result(folder)
    if not isinstance(result, TrainResult):
        raise SystemExit(f"{folder}: not the folder of a finished training, such as runs/train/RUN")
    return result.experiment


def augmented(parts: Parts, model: AVClassifier, count: int) -> dict[Modality, Tensor]:
    """Features of as many augmented training clips, over several epochs."""
    clips = parts.data.clips("train", training=True)
    places = [divmod(i, len(clips)) for i in range(count)]
    batches = (collate([clips[p] for p in places[i : i + 32]]).batch for i in range(0, count, 32))
    features, _ = embed(model, batches)
    return {"audio": features.audio, "visual": features.visual}


def accepted_step(modality: Modality, eigenvalue: float) -> float:
    """The released step size, or the largest that the released code accepts.

    Args:
        modality: whose bank it is.
        eigenvalue: the largest one of the bank's Mt M.
    """
    return min(RELEASED_STEPS[modality], 0.999 / eigenvalue)


def compare(
    modality: Modality, bank: Bank, features: Tensor, repeats: int
) -> list[dict[str, object]]:
    step = accepted_step(modality, float(bank.singular[0].square()))
    ista = ReleasedISTA(step, step)
    closed = SpectralISTA(step, step)
    plain: dict[str, tuple[Solver, str]] = {
        "ours, gap 1e-4": (ADMM(), "implicit"),
        "ours, gap 1e-5": (ADMM(1e-5, 2000), "implicit"),
        (released := f"released ISTA, step {step:.2g}"): (ista, "unrolled"),
        "released ISTA in closed form": (closed, "unrolled"),
    }
    exact = Bank(*(x.double() for x in bank))
    codes: dict[str, tuple[Tensor, str, str]] = {}
    calls: dict[str, Callable[[], object]] = {}
    for name, (solver, gradient) in plain.items():
        with torch.no_grad():
            found = solver.solve(bank, features, WEIGHT, modality)
        iterations = f"{found.iterations.float().mean():.0f} ({int(found.iterations.max())})"
        codes[name] = (found.code, iterations, f"{float(found.gap.max()):.1e}")
        calls[name] = partial(solve, solver, bank, features, modality)
        calls[f"{name} gradient"] = step_of(bank, features, modality, solver, gradient)
    few = features[:4]
    started = time.process_time()
    sklearn = least_angle(exact, few.double())
    seconds_sklearn = (time.process_time() - started) / len(few)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.process_time()
            call()
            times[name].append((time.process_time() - started) / len(features))
    best = objective(exact, few.double(), sklearn, WEIGHT)
    lines = [
        {
            "bank": f"{modality} {tuple(bank.atoms.shape)}",
            "solver": name,
            "objective": float(objective(exact, features.double(), code.double(), WEIGHT).mean()),
            "excess over scikit-learn": float(
                (objective(exact, few.double(), code[: len(few)].double(), WEIGHT) / best - 1).max()
            ),
            "gap": gap,
            "iterations (most)": iterations,
            "non-zeros %": 100 * float((code != 0).float().mean()),
            "from released %": apart(bank, features, code, codes[released][0]),
            "ms a clip": 1e3 * statistics.median(times[name]),
            "with gradient, ms": 1e3 * statistics.median(times[f"{name} gradient"]),
        }
        for name, (code, iterations, gap) in codes.items()
    ]
    share = 100 * float((sklearn != 0).float().mean())
    ends = {
        "objective": float(best.mean()),
        "non-zeros %": share,
        "ms a clip": 1e3 * seconds_sklearn,
    }
    return [
        *lines,
        {"bank": lines[0]["bank"], "solver": f"scikit-learn LARS ({len(few)} clips)", **ends},
    ]


def apart(bank: Bank, features: Tensor, code: Tensor, released: Tensor) -> str:
    """The relative distance of restored embeddings from the released ones: median (most)."""
    theirs = MIXING * bank.decode(released) + (1 - MIXING) * features
    change = MIXING * (bank.decode(code) - bank.decode(released))
    percent = 100 * change.norm(dim=1) / theirs.norm(dim=1)
    return f"{float(percent.median()):.2g} ({float(percent.max()):.2g})"


@torch.no_grad()
def solve(solver: Solver, bank: Bank, features: Tensor, modality: Modality) -> Tensor:
    return solver.solve(bank, features, WEIGHT, modality).code


def step_of(
    bank: Bank, features: Tensor, modality: Modality, solver: Solver, gradient: str
) -> Callable[[], object]:
    restorer = Restorer(
        modality,
        len(bank.atoms),
        solver,
        weight=WEIGHT,
        mixing=MIXING,
        gradient=gradient,  # type: ignore[arg-type]
    )
    restorer.fill(bank.atoms.T)

    def call() -> Tensor:
        free = features.clone().requires_grad_()
        return torch.autograd.grad(restorer(free).sum(), free)[0]

    return call


def least_angle(bank: Bank, features: Tensor) -> Tensor:
    """scikit-learn's codes by its homotopy, which is exact.

    Its default, coordinate descent, takes minutes a clip on such banks.
    """
    codes = sparse_encode(
        features.numpy(),
        bank.atoms.T.numpy(),
        algorithm="lasso_lars",
        alpha=WEIGHT / 2,
        max_iter=5000,
    )
    return torch.from_numpy(codes)


if __name__ == "__main__":
    main()
