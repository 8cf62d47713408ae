"""Time and memory at the size of large studies: clips, videos, runs, jobs.

    python benchmarks/scale.py

20,000 prepared clips up to the first batch of a training, `avrobust prepare` of 5,000 videos of
one second, `avrobust report` of 2,000 runs, a sweep of 1,000 finished jobs; each at a
quarter, a half and the whole of its size, in a process of its own, as a user starts it. Memory is
the largest resident set of any one of its processes. The last column compares the seconds that the
last doubling added with those that the one before added: 2 is linear, 4 is quadratic. `--share 0.1`
takes a tenth of every size.

The clips are copies of one clip, the videos copies of one mp4 file, the runs those of one tiny
attack with other seeds.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from made import CLASSES, PROJECT, write_clip, write_prepared

from avrobust.data.layout import Entry, write_list
from avrobust.experiments.result_files import folder_of, read_result, write_result
from avrobust.experiments.results import EvaluationResult, Result
from avrobust.experiments.runs import run_for
from avrobust.experiments.settings import Experiment
from avrobust.synthetic.mp4 import write_film
from avrobust.synthetic.tones import RATE

SIZES = {"clips": 20_000, "videos": 5_000, "runs": 2_000, "jobs": 1_000}
SPLITS = (("train", 0.8), ("val", 0.1), ("test", 0.1))
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
)


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    mebibytes: float


def cost(*command: str | Path) -> Cost:
    """Runs a Python program to its end."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], cwd=PROJECT, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{command}: {output.read().decode()[-2000:]}")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024)


def avrobust(*words: str | Path) -> Cost:
    """Runs the program `avrobust`."""
    return cost("-c", "import sys; from avrobust.cli.main import main; sys.exit(main())", *words)


def start_training(folder: Path, count: int) -> Cost:
    """A process that opens a data set of so many clips and reads the first batch."""
    root = folder / "clips"
    first = Entry(CLASSES[0], "first", 8)
    write_clip(root, first, (64, 64), 1.0, 0)
    number = 0
    for split, share in SPLITS:
        entries = []
        for _ in range(round(share * count)):
            entry = Entry(CLASSES[number % len(CLASSES)], f"clip {number}", first.frames)
            _copy_clip(root, first, entry)
            entries.append(entry)
            number += 1
        write_list(root / f"{split}.csv", entries)
    (root / "prepare.json").write_text("{}\n")
    return cost(
        "-c",
        "import sys; from avrobust.data.prepared import Prepared; "
        "data = Prepared(sys.argv[1], image_size=32, audio_samples=4096); data.fingerprint(); "
        "from avrobust.data.loaders import EpochSampler, make_loader; "
        "clips = data.clips('train', training=True); "
        "next(iter(make_loader(clips, EpochSampler(len(clips), shuffle=True), 36, 0)))",
        root,
    )


def _copy_clip(root: Path, source: Entry, target: Entry) -> None:
    target.audio_path(root).parent.mkdir(parents=True, exist_ok=True)
    target.frames_path(root).mkdir(parents=True)
    shutil.copyfile(source.audio_path(root), target.audio_path(root))
    for number in range(1, source.frames + 1):
        shutil.copyfile(source.frame_path(root, number), target.frame_path(root, number))


def prepare(folder: Path, count: int) -> Cost:
    """`avrobust prepare` of so many films of a second."""
    film = folder / "film.mp4"
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(12)]
    write_film(film, frames, 0.2 * np.sin(np.arange(RATE) / 10), 12, {})
    for number in range(count):
        target = folder / "videos" / CLASSES[number % len(CLASSES)] / f"film {number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film, target)
    return avrobust("prepare", folder / "videos", folder / "prepared")


def report(folder: Path, count: int) -> Cost:
    """`avrobust report` of so many runs."""
    copy_runs(folder, count)
    return avrobust("report", "--runs", folder / "runs")


def sweep(folder: Path, count: int) -> Cost:
    """A multirun of so many finished jobs."""
    root = copy_runs(folder, count)
    return cost(
        "attack.py",
        "-m",
        *TINY,
        f"dataset.root={root}",
        f"runs={folder / 'runs'}",
        "attack=fgsm",
        f"seed=range({count})",
    )


def copy_runs(folder: Path, count: int) -> Path:
    """Makes so many finished runs of one tiny attack; gives the data set's folder."""
    root, runs = folder / "data", folder / "runs"
    write_prepared(root, {"train": 12, "val": 6, "test": 12}, (64, 64), 2.5)
    cost("attack.py", *TINY, f"dataset.root={root}", f"runs={runs}", "attack=fgsm")
    (attacked,) = (runs / "attack").iterdir()
    (trained,) = (runs / "train").iterdir()
    attack, training = read_result(attacked), read_result(trained)
    assert isinstance(attack, EvaluationResult)
    assert training is not None
    for seed in range(1, count):
        model = _copy(training, trained, seed, runs)
        _copy(replace(attack, model=model), attacked, seed, runs)
    return root


def _copy(result: Result, folder: Path, seed: int, runs: Path) -> str:
    """The run of another seed with the same numbers; its id."""
    experiment: Experiment = result.experiment
    experiment = experiment.with_model(replace(experiment.model, seed=seed))
    run_id = run_for(experiment, result.data).run_id
    copied = folder_of(runs, experiment.task, run_id)
    shutil.copytree(folder, copied)
    write_result(copied, replace(result, run_id=run_id, experiment=experiment))
    return run_id


WORK: dict[str, tuple[str, Callable[[Path, int], Cost]]] = {
    "clips": ("first batch of a training", start_training),
    "videos": ("avrobust prepare", prepare),
    "runs": ("avrobust report", report),
    "jobs": ("sweep of finished jobs", sweep),
}


def line(kind: str, sizes: Sequence[int]) -> dict[str, object]:
    """Cost of one kind of work at three sizes."""
    name, work = WORK[kind]
    costs = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            costs.append(work(Path(folder), size))
    seconds = [each.seconds for each in costs]
    return {
        "work": name,
        "sizes": f"{', '.join(map(str, sizes))} {kind}",
        "seconds": ", ".join(f"{value:.1f}" for value in seconds),
        "MiB": ", ".join(f"{each.mebibytes:.0f}" for each in costs),
        "last doubling / the one before": (seconds[2] - seconds[1]) / (seconds[1] - seconds[0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--only", choices=WORK)
    arguments = parser.parse_args()
    rows = []
    for kind in [arguments.only] if arguments.only else WORK:
        whole = round(SIZES[kind] * arguments.share)
        rows.append(line(kind, (whole // 4, whole // 2, whole)))
    print(pd.DataFrame(rows).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
