"""Weights & Biases: one of its runs for each of ours.

No other module imports wandb, and this one is imported only if it is chosen. The runs of W&B are in
<runs>/wandb, uploaded or waiting for `wandb sync`. A finished run is described by its files alone:
one that was made without W&B, or while it could not be reached, can be published later.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import wandb
from wandb.sdk.lib import wbauth
from wandb.sdk.wandb_setup import singleton

from avrobust.data.layout import SAMPLE_RATE
from avrobust.errors import UserError
from avrobust.experiments.kept_clips import magnification, read_kept, records_of
from avrobust.experiments.listing import choices, settings_tree
from avrobust.experiments.results import Result, TrainResult
from avrobust.experiments.runs import Run
from avrobust.experiments.settings import Experiment
from avrobust.tracking.loggers import Tracker
from avrobust.utils.arrays import Array
from avrobust.utils.console import err, warn

if TYPE_CHECKING:  # a finished run is published without Lightning
    from pytorch_lightning.loggers import Logger

COLUMNS = (
    "key",
    "condition",
    "label",
    "prediction",
    "confidence",
    "frame",
    "change",
    "change_factor",
    "audio",
)


@final
class Wandb(Tracker):
    """Tracks runs on W&B.

    Args:
        project: of W&B.
        entity: the user or team it belongs to; None is the user's own default.
        group: what the runs are grouped by; None is the name of the sweep that they are part of.
        mode: "auto" is online if the user is logged in, else offline. WANDB_MODE has the last word.
    """

    def __init__(
        self,
        project: str = "avrobust",
        entity: str | None = None,
        group: str | None = None,
        mode: Literal["auto", "online", "offline"] = "auto",
    ) -> None:
        self.project, self.entity, self.group = project, entity, group
        self.mode = os.environ.get("WANDB_MODE") or mode
        if self.mode in ("auto", "online"):
            known = logged_in()
            if self.mode == "online" and not known:
                raise UserError(
                    "logger.mode=online: not logged in; "
                    "run `wandb login`, or choose logger.mode=offline"
                )
            self.mode = "online" if known else "offline"

    @contextmanager
    def curves(self, run: Run, experiment: Experiment) -> "Iterator[Logger]":
        from pytorch_lightning.loggers import WandbLogger
        from pytorch_lightning.utilities import rank_zero_only

        try:
            # The processes that Lightning's DDP starts have a logger too, but no run of W&B.
            first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
            tracked = self._opened(run, experiment) if first else None
        except wandb.Error as error:
            raise UserError(
                f"logger=wandb: {_line(error)}; logger.mode=offline needs no network"
            ) from None
        try:
            yield WandbLogger(experiment=tracked)  # the run is left open for `publish`
        except BaseException:
            wandb.finish(exit_code=1)
            raise

    def publish(self, run: Run, experiment: Experiment) -> None:
        mark, path = self._mark(run), run.folder / "wandb.json"
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == mark:
            return
        try:
            where = self._publish(run, experiment)
        except wandb.Error as error:
            problem = f"{run.run_id} is finished but not on W&B: {_line(error)}"
            warn(f"{problem}; the same command tries that again")
            return
        run.write("wandb.json", json.dumps(mark, indent=2) + "\n")
        err.print(f"W&B: {where}", markup=False)

    def _publish(self, run: Run, experiment: Experiment) -> str:
        result = run.result()
        assert result is not None
        live = wandb.run is not None and wandb.run.name == run.run_id  # its training has just ended
        tracked: Any = wandb.run if live else self._opened(run, experiment)
        if not live:
            for row in _epochs(run):
                tracked.log(row)
        facts = {"run_id": result.run_id, "data": result.data, "git": result.provenance.git}
        tracked.config.update(facts, allow_val_change=True)
        tracked.summary.update(summary(result))
        if rows := list(examples(run)):
            tracked.log({"examples": wandb.Table(columns=list(COLUMNS), data=rows)})
        folder = Path(tracked.dir).parent
        where = f"wandb sync {folder}" if tracked.offline else str(tracked.url)
        tracked.finish()
        return where

    def _opened(self, run: Run, experiment: Experiment) -> Any:
        """W&B's run for ours, which goes on if it is there already."""
        wandb.finish(exit_code=1)  # one that a failed job left open in this process
        tracked = wandb.init(**self._described(run, experiment))
        for name in ("train/*", "val/*"):
            tracked.define_metric(name, step_metric="epoch")
        return tracked

    def _described(self, run: Run, experiment: Experiment) -> dict[str, Any]:
        """A run in W&B's words. It has the same id wherever and however often it is made."""
        execution = experiment.execution
        return {
            "project": self.project,
            "entity": self.entity,
            "id": _id(run),
            "name": run.run_id,
            "group": self.group or execution.sweep,
            "job_type": run.task,
            "tags": _tags(experiment),
            "notes": execution.name,
            "config": published_config(experiment),
            "resume": "allow",
            "allow_val_change": True,  # a run that goes on may have another batch size or label
            "mode": self.mode,
            "dir": _home(experiment),
            "settings": wandb.Settings(silent=True, console="off"),
        }

    def _mark(self, run: Run) -> dict[str, str | None]:
        """Tells what has been published of a run, and where."""
        digest = hashlib.sha256((run.folder / "result.json").read_bytes()).hexdigest()
        return {"entity": self.entity, "project": self.project, "id": _id(run), "result": digest}


def _tags(experiment: Experiment) -> list[str]:
    """The chosen options and the user's own tags, each once."""
    model, attack = experiment.model, experiment.attack
    tags = [model.dataset.name, model.fusion.name]
    if model.defended:
        tags.append(model.defense.name)
    if attack:
        tags += [attack.attack.name, attack.threat.name]
    return list(dict.fromkeys([*tags, *experiment.execution.tags]))


def published_config(experiment: Experiment) -> dict[str, Any]:
    """What was chosen, all values, and how the work is done; plain values alone."""
    execution = asdict(experiment.execution)
    del execution["logger"]
    return {"choices": choices(experiment), **settings_tree(experiment), **execution}


def summary(result: Result) -> dict[str, Any]:
    """The columns of W&B's table of runs: of an evaluation the row of a robustness table."""
    if isinstance(result, TrainResult):
        return _training_summary(result)
    row: dict[str, Any] = dict(result.accuracy)
    row |= {
        "average": result.average,
        "average_with_clean": result.average_with_clean,
        "n": result.n,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "bounded": result.attack.bounded,
    }
    for condition in result.conditions:
        row[f"{condition.name}_low"] = condition.accuracy.low
        row[f"{condition.name}_high"] = condition.accuracy.high
    if result.comparison:
        row["ri"] = result.comparison.ri
    if result.verdict:
        row["verdict"] = "trusted" if result.trusted else "; ".join(result.verdict.reasons)
    return row


def _training_summary(result: TrainResult) -> dict[str, Any]:
    row: dict[str, Any] = {name: split.accuracy for name, split in result.splits.items()}
    return {
        **row,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "best_epoch": result.best_epoch,
        "parameters": result.parameters,
    }


def examples(run: Run) -> Iterator[list[Any]]:
    """The rows of the table of kept clips: each clean, then under each condition."""
    for clip in read_kept(run.folder):
        records = records_of(run.folder, clip.key)
        clean, *_ = records  # the clean record comes first
        yield _row(clip.key, clean, records[clean], clip.audio, clip.frame, None)
        for condition, change in clip.changes.items():
            audio, frame = clip.audio + change.audio, clip.frame + change.frame
            yield _row(clip.key, condition, records[condition], audio, frame, change.frame)


def _row(
    key: str,
    condition: str,
    record: dict[str, str],
    audio: Array,
    frame: Array,
    change: Array | None,
) -> list[Any]:
    factor = 0.0 if change is None else magnification(change, 0.5)
    # Magnified around a middle gray.
    changed = _image(0.5 + factor * change) if change is not None and factor else None
    confidence = 100 * float(record["confidence"])
    samples = audio.clip(-1, 1).astype(np.float32)
    sound = wandb.Audio(samples, sample_rate=SAMPLE_RATE)
    answer = [record["label"], record["prediction"], confidence]
    return [key, condition, *answer, _image(frame), changed, factor, sound]


def _image(frame: Any) -> wandb.Image:
    return wandb.Image((frame.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


def _epochs(run: Run) -> Iterator[dict[str, float]]:
    """The learning curves of a training that was not tracked while it ran."""
    path = run.folder / "metrics.csv"
    if path.is_file():
        with path.open(newline="") as file:
            yield from ({k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file))


def _id(run: Run) -> str:
    """The same wherever a run is made; but W&B's own sweeps name the runs that they start."""
    if "WANDB_SWEEP_ID" in os.environ:
        return os.environ["WANDB_RUN_ID"]
    return f"{run.task}-{run.run_id.rpartition('-')[2]}"


def _home(experiment: Experiment) -> str:
    """The folder of runs; W&B's caches go there, not to the home, unless the user says where."""
    runs = Path(experiment.execution.runs).absolute()
    for name in ("data", "cache", "artifact"):
        os.environ.setdefault(f"WANDB_{name.upper()}_DIR", str(runs / "wandb" / name))
    (runs / "wandb").mkdir(parents=True, exist_ok=True)
    return str(runs)


def logged_in() -> bool:
    """Whether W&B's credentials are there; asks neither the user nor the network."""
    host = (
        singleton().settings.base_url
    )  # wandb.setup() would start a service, before its folders are known
    return wbauth.authenticate_session(host=host, source="avrobust", prompt=False) is not None


def default_entity() -> str:
    """The user or team that the user's runs belong to; asks the network."""
    return str(wandb.Api().default_entity)


@contextmanager
def reached() -> Iterator[None]:
    """Turns W&B's complaints into one line.

    Raises:
        UserError: W&B cannot be reached, or refuses.
    """
    try:
        yield
    except (wandb.Error, OSError, ValueError) as error:  # requests' errors are OSErrors
        raise UserError(f"W&B: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
