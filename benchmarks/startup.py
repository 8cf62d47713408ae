"""Seconds of the commands that compute nothing: help, completion, a report, finished jobs.

    python benchmarks/startup.py --repeats 5

Each is a process of its own, as a user starts it; medians, interleaved. Floor: a process that
imports what the command cannot do without (Hydra; pandas and Jinja for the report) and ends. Of a
sweep the cost of one more finished job: the difference between a sweep of many jobs and one of a
single job, all finished, over the difference in jobs; its floor is composing one config with Hydra
in a process that has composed another.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from made import PROJECT, medians, write_prepared

SCRIPTS = ("train.py", "attack.py", "defend.py")
JOBS = 9
TINY = (
    "dataset=folder",
    "dataset.audio_samples=4096",
    "dataset.image_size=32",
    "audio.widths=[8,8,8,16]",
    "visual.widths=[8,8,8,16]",
    "training.epochs=1",
    "training.milestones=[]",
    "training.batch_size=6",
    "trainer=cpu",
    "attack=fgsm",
)
REPORT = (
    "import sys, avrobust.cli.main as c; c.main(['report', '--runs', sys.argv[1]]); "
    "assert 'torch' not in sys.modules"
)


def start(*command: str, **environment: str) -> None:
    """Runs the interpreter on these arguments, quietly."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def complete(script: str, line: str) -> None:
    """Asks for completion as the shell does."""
    shown = f"python {script} {line}"
    start(script, "-sc", "query=bash", COMP_LINE=shown, COMP_POINT=str(len(shown)))


def table(repeats: int = 5) -> pd.DataFrame:
    """Seconds, one line a command."""
    with tempfile.TemporaryDirectory() as folder:
        return pd.DataFrame(_lines(Path(folder), repeats))


def _lines(folder: Path, repeats: int) -> list[dict[str, object]]:
    root, runs = folder / "data", folder / "runs"
    write_prepared(root, {"train": 6, "val": 3, "test": 3}, (64, 48), seconds=3)

    def sweep(jobs: int) -> None:
        eps = ",".join(f"0.00{i}" for i in range(1, 1 + jobs))
        start("attack.py", "-m", *TINY, f"dataset.root={root}", f"runs={runs}", f"eps={eps}")

    sweep(JOBS)
    hydra, report = "import of hydra", "import of pandas, jinja2"
    calls: dict[str, Callable[[], object]] = {
        hydra: lambda: start("-c", "import hydra"),
        report: lambda: start("-c", "import pandas, jinja2"),
        **{f"python {script} --help": partial(start, script, "--help") for script in SCRIPTS},
        "completion of a group": lambda: complete("attack.py", "fus"),
        "completion of an option": lambda: complete("attack.py", "fusion="),
        "completion of a value": lambda: complete("train.py", "training.ep"),
        "avrobust report": lambda: start("-c", REPORT, str(runs)),
        "a sweep of one finished job": lambda: sweep(1),
        f"a sweep of {JOBS}": lambda: sweep(JOBS),
    }
    found = medians(calls, repeats)
    wanted = {name: 0.5 for name in calls if "--help" in name or "completion" in name}
    lines: list[dict[str, object]] = [
        {
            "command": name,
            "s": s,
            "wanted": wanted.get(name),
            "floor": found[report if "report" in name else hydra],
        }
        for name, s in found.items()
    ]
    each = (found[f"a sweep of {JOBS}"] - found["a sweep of one finished job"]) / (JOBS - 1)
    return [
        *lines,
        {"command": "one more finished job", "s": each, "wanted": 0.2, "floor": _composing(root)},
    ]


def _composing(root: Path) -> float:
    """Seconds of composing one more config."""
    with initialize_config_dir(version_base="1.3", config_dir=str(PROJECT / "configs")):
        overrides = [*TINY, f"dataset.root={root}"]
        compose("attack", overrides)
        started = time.perf_counter()
        compose("attack", [*overrides, "eps=0.1"])
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    print(table(parser.parse_args().repeats).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
