"""The costliest operators of a PGD suite at the paper's size, by PyTorch's profiler.

    python benchmarks/hot.py --batch 8

Shares of the time inside PyTorch's operators, each without what it calls, and of the time between
them (Python). On a GPU the shares of its kernels' time.
"""

import argparse
import time

import pandas as pd
import torch
from attacks import EPS, models
from torch.profiler import ProfilerActivity, profile

from avrobust.attacks.pgd import PGD
from avrobust.evaluation.evaluate import evaluate
from avrobust.threats import suite
from avrobust.types import Batch

SHOWN = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    print(table(given.batch, given.device).to_markdown(index=False, floatfmt=".1f"))


def table(batch: int = 8, device: str = "cpu") -> pd.DataFrame:
    """One line an operator, the costliest first."""
    _, ours, clip = models(batch, device)
    batches = [Batch(clip, torch.zeros(batch, dtype=torch.long), tuple(map(str, range(batch))))]

    def run() -> None:
        evaluate(ours, batches, PGD(), suite(EPS), device=device)

    run()
    gpu = device != "cpu"
    with profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])],
        acc_events=True,
    ) as seen:
        started = time.perf_counter()
        run()
        elapsed = time.perf_counter() - started
    times = {
        e.key: (e.self_device_time_total if gpu else e.self_cpu_time_total, e.count)
        for e in seen.key_averages()
    }
    inside = sum(spent for spent, _ in times.values())
    whole = inside if gpu else max(inside, 1e6 * elapsed)
    ranked = sorted(times.items(), key=lambda item: -item[1][0])[:SHOWN]
    lines = [
        {"operator": name, "calls": count, "share, %": 100 * spent / whole}
        for name, (spent, count) in ranked
    ]
    rest = inside - sum(spent for _, (spent, _) in ranked)
    lines.append({"operator": "all others", "share, %": 100 * rest / whole})
    if not gpu:
        lines.append({"operator": "between operators", "share, %": 100 * (whole - inside) / whole})
    return pd.DataFrame(lines)


if __name__ == "__main__":
    main()
