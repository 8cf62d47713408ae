"""What a multirun leaves on disk about itself.

Anyone can see from it what is done, running, failed and left.

    <runs>/sweeps/<name>-<hash of its jobs>/  sweep.json (its jobs), 0.json, 1.json ... (what became
        of each), 0.txt ... (where a job broke off, if that was not the user's mistake)

The same command has the same folder. The numbers are not here: a job's record names the folder of
its run.
"""

import hashlib
import json
import os
import shlex
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from pydantic import Field, TypeAdapter

from avrobust.errors import UserError
from avrobust.experiments.jobs import check_count
from avrobust.experiments.result_files import folder_of
from avrobust.experiments.results import Result, TrainResult
from avrobust.utils.console import out
from avrobust.utils.files import atomic_write, remove_leftovers, write_file
from avrobust.utils.json_files import read_json
from avrobust.utils.system import process_alive, side_by_side

State = Literal["done", "running", "failed", "interrupted", "left"]
# Not what a sweep is.
BOOKKEEPING = (
    "runs=",
    "force=",
    "name=",
    "tags=",
    "workers=",
    "batch_size=",
    "examples=",
    "max_jobs=",
    "logger=",
    "logger.",
    "allow=",
)

ONE_VALUE = ("sweep", "experiment", "runs", "max_jobs", "allow")  # of a whole multirun


class Job(NamedTuple):
    """What became of one job of a sweep."""

    number: int
    overrides: tuple[str, ...]
    state: State = "left"
    reason: str = ""  # why it failed, in one line
    folder: str = ""  # of its run
    started: float = 0.0  # seconds since the epoch
    seconds: Annotated[float, Field(ge=0, lt=1e9)] = 0.0
    host: str = ""
    pid: Annotated[int, Field(ge=0, lt=2**31)] = 0


class SweepFile(NamedTuple):
    """What sweep.json holds."""

    name: str
    command: str
    jobs: tuple[tuple[str, ...], ...]


_JOB_FILE = TypeAdapter(Job)
_SWEEP_FILE = TypeAdapter(SweepFile)


class Sweep(NamedTuple):
    """One multirun: where its records are, and what it is made of."""

    folder: Path
    name: str  # of its file in sweeps/, or "sweep"
    command: str
    jobs: tuple[tuple[str, ...], ...]  # the overrides of each

    def progress(self) -> list[Job]:
        """Every job, in order, with what became of it."""
        return [self._job(number) for number in range(len(self.jobs))]

    def done(self) -> bool:
        """Whether every job is done."""
        return all(job.state == "done" for job in self.progress())

    def fresh(self, number: int) -> Job:
        """A job of which nothing is known; of its overrides those that not every job has."""
        shared = set.intersection(*map(set, self.jobs)) if len(self.jobs) > 1 else set()
        return Job(number, tuple(o for o in self.jobs[number] if o not in shared))

    def _job(self, number: int) -> Job:
        job, path = self.fresh(number), self.folder / f"{number}.json"
        if not path.exists():
            return job
        try:
            job = _job_from(path)._replace(overrides=job.overrides)
        except (OSError, ValueError):
            return job._replace(state="interrupted", reason=f"{path} is damaged")
        return (
            job._replace(state="interrupted") if job.state == "running" and not _alive(job) else job
        )


def read_sweep(folder: Path) -> Sweep:
    """The sweep whose records lie in a folder.

    Raises:
        UserError: its sweep.json is damaged.
    """
    path = folder / "sweep.json"
    try:
        content = _SWEEP_FILE.validate_python(read_json(path))
        return Sweep(folder, *content)
    except (OSError, ValueError):
        raise UserError(f"{path}: damaged; start the sweep again to write it anew") from None


def read_sweeps(runs: Path) -> tuple[list[Sweep], list[str]]:
    """All sweeps under a folder of runs, the one begun last at the end, and what is damaged."""
    found = sorted((runs / "sweeps").glob("*/sweep.json"), key=lambda path: path.stat().st_mtime)
    sweeps, damaged = [], []
    for path in found:
        try:
            sweeps.append(read_sweep(path.parent))
        except UserError as error:
            damaged.append(str(error))
    return sweeps, damaged


def _job_from(path: Path) -> Job:
    """What a job's file says.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    return _JOB_FILE.validate_python(read_json(path))


current: Sweep | None = None  # the one that this process has begun


def plan_sweep(config: DictConfig, jobs: tuple[tuple[str, ...], ...]) -> Sweep:
    """The records of a multirun that is about to begin, and where they will be; writes nothing.

    The jobs are told where that is, in Hydra's part of the config.

    Args:
        config: of the multirun.
        jobs: the overrides of each.
    """
    name = str(OmegaConf.select(config, "hydra.runtime.choices.sweep") or "sweep")
    kept = [
        [Path(sys.argv[0]).name, *(o for o in job if not o.startswith(BOOKKEEPING))] for job in jobs
    ]
    digest = hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:8]
    folder = Path(str(config.runs)) / "sweeps" / f"{name}-{digest}"
    command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    with read_write(config.hydra), open_dict(config.hydra):
        if (
            config.hydra.launcher.get("n_jobs") == -1
        ):  # joblib's default: a job for every core, whatever the GPUs
            # A worker without a job would outlive this process when it is killed.
            config.hydra.launcher.n_jobs = min(side_by_side(config.jobs_per_gpu), len(jobs))
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{quoted}'")
    return Sweep(folder, name, command, jobs)


def begin(sweep: Sweep) -> None:
    """Writes down the jobs of this process' multirun, before the first one starts."""
    global current
    current = sweep
    sweep.folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(sweep.folder)
    content = {"name": sweep.name, "command": sweep.command, "jobs": sweep.jobs}
    _write(sweep.folder / "sweep.json", content)


def record(
    work: Callable[[], Result],
    folder: Path,
    number: int,
    explain: Callable[[Exception], str],
) -> None:
    """Runs one job of a multirun and writes down what became of it.

    A failure of the job is written down as well and stops no other job.
    """
    sweep = read_sweep(folder)
    job = sweep.fresh(number)._replace(state="running", started=time.time())
    job = job._replace(host=socket.gethostname(), pid=os.getpid())
    path, title = folder / f"{number}.json", f"{sweep.name} {number + 1}/{len(sweep.jobs)}"
    _write(path, job._asdict())
    try:
        result = work()
    except KeyboardInterrupt:
        _write(path, job._replace(state="interrupted", seconds=_since(job))._asdict())
        raise
    except Exception as error:
        reason = explain(error)
        if not isinstance(error, UserError):
            trace = path.with_suffix(".txt")
            write_file(trace, traceback.format_exc().encode())
            reason = f"{type(error).__name__}: {reason} (where: {trace})"
        _write(path, job._replace(state="failed", reason=reason, seconds=_since(job))._asdict())
        # The list at the end of the sweep has the reason.
        out.print(f"{title} failed ({' '.join(job.overrides)})", style="red", markup=False)
        return
    # Not the `runs` in the result's config: the folder may have moved since that run was made.
    run = str(folder_of(folder.parents[1], result.task, result.run_id))
    _write(path, job._replace(state="done", folder=run, seconds=_since(job))._asdict())
    out.print(f"{title} {_line(result)}", markup=False)


def expand(hydra: DictConfig, limit: int) -> tuple[tuple[str, ...], ...]:
    """The overrides of every job, as Hydra's sweeper will make them.

    Args:
        hydra: Hydra's part of the config of the multirun.
        limit: the largest number of jobs.

    Raises:
        UserError: there is no job, or there are more than `limit`, or a key has several values that
            belongs to the whole multirun.
    """
    axes = [f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    typed = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    assert isinstance(typed, list)
    parsed = parser.parse_overrides([*axes, *map(str, typed)])
    for override in parsed:
        if override.is_sweep_override() and override.key_or_group in ONE_VALUE:
            raise UserError(
                f"{override.input_line}: has several values, and all jobs of a multirun share one "
                f"{override.key_or_group}; start one command for each"
            )
    if parsed:
        check_count(parsed, limit)
    return tuple(
        tuple(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch
    )


def _line(result: Result) -> str:
    """What a job came to."""
    if isinstance(result, TrainResult):
        accuracy = {name: split.accuracy for name, split in result.splits.items()}
    else:
        accuracy = result.accuracy  # type: ignore[assignment]
    shown = "  ".join(f"{name} {value:.2f}" for name, value in accuracy.items())
    return f"{result.run_id}  {shown}"


def _since(job: Job) -> float:
    return round(time.time() - job.started, 2)


def _alive(job: Job) -> bool:
    """Whether the job's process is there; of another host's nobody here can tell."""
    if job.host != socket.gethostname():
        return True
    return process_alive(job.pid)


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
