"""Weights & Biases: one of its runs for each of ours. The only importer of wandb; itself imported if it is chosen.

Its runs are kept in <runs>/wandb, whether they are uploaded or wait for `wandb sync`. A finished
run is described by its files alone, so that one that was made without W&B, or while it could not be
reached, can be published later.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import wandb
from wandb.sdk.lib import wbauth
from wandb.sdk.wandb_setup import singleton

from avrobust.data.layout import SAMPLE_RATE
from avrobust.errors import UserError
from avrobust.experiments.runs import Run
from avrobust.report.gallery import change, said
from avrobust.report.media import factor_for
from avrobust.tracking.loggers import Config, Tracker
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
                    "logger.mode=online: not logged in; run `wandb login`, or choose logger.mode=offline"
                )
            self.mode = "online" if known else "offline"

    @contextmanager
    def curves(self, run: Run, config: Config) -> "Iterator[Logger]":
        from pytorch_lightning.loggers import WandbLogger
        from pytorch_lightning.utilities import rank_zero_only

        try:
            # The processes that Lightning's DDP starts have a logger too, but no run of W&B.
            tracked = self._opened(run, config) if rank_zero_only.rank == 0 else None  # type: ignore[attr-defined]
        except wandb.Error as error:
            raise UserError(
                f"logger=wandb: {_line(error)}; logger.mode=offline needs no network"
            ) from None
        try:
            yield WandbLogger(experiment=tracked)  # the run is left open for `publish`
        except BaseException:
            wandb.finish(exit_code=1)
            raise

    def publish(self, run: Run, config: Config) -> None:
        mark, path = self._mark(run), run.folder / "wandb.json"
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == mark:
            return
        try:
            where = self._publish(run, config)
        except wandb.Error as error:
            warn(
                f"{run.run_id} is finished but not on W&B: {_line(error)}; the same command tries that again"
            )
            return
        run.write("wandb.json", json.dumps(mark, indent=2) + "\n")
        err.print(f"W&B: {where}", markup=False)

    def _publish(self, run: Run, config: Config) -> str:
        live = wandb.run is not None and wandb.run.name == run.run_id  # its training has just ended
        tracked: Any = wandb.run if live else self._opened(run, config)
        for row in () if live else _epochs(run):
            tracked.log(row)
        result = run.result() or {}
        tracked.config.update(
            {k: result[k] for k in ("run_id", "data", "git")}, allow_val_change=True
        )
        tracked.summary.update(summary(result))
        if rows := list(examples(run)):
            tracked.log({"examples": wandb.Table(columns=list(COLUMNS), data=rows)})
        folder = Path(tracked.dir).parent
        where = f"wandb sync {folder}" if tracked.offline else str(tracked.url)
        tracked.finish()
        return where

    def _opened(self, run: Run, config: Config) -> Any:
        """W&B's run for ours, which goes on if it is there already."""
        wandb.finish(exit_code=1)  # one that a failed job left open in this process
        tracked = wandb.init(**self._described(run, config))
        for name in ("train/*", "val/*"):
            tracked.define_metric(name, step_metric="epoch")
        return tracked

    def _described(self, run: Run, config: Config) -> dict[str, Any]:
        """A run in W&B's words. The same run has the same id wherever and however often it is made."""
        choices = {
            k: v for k, v in config["choices"].items() if k in ("dataset", "fusion", "defense")
        }
        if run.task != "train":
            choices |= {k: config["choices"][k] for k in ("attack", "threat")}
        tags = [v for k, v in choices.items() if (k, v) != ("defense", "none")]
        return {
            "project": self.project,
            "entity": self.entity,
            "id": _id(run),
            "name": run.run_id,
            "group": self.group or config["choices"].get("sweep"),
            "job_type": run.task,
            "tags": list(dict.fromkeys([*tags, *config["tags"]])),
            "notes": config["name"],
            "config": {k: v for k, v in config.items() if k != "logger"},
            "resume": "allow",
            "allow_val_change": True,  # a run that goes on may have another batch size or label
            "mode": self.mode,
            "dir": _home(config),
            "settings": wandb.Settings(silent=True, console="off"),
        }

    def _mark(self, run: Run) -> dict[str, str | None]:
        """Tells what has been published of a run, and where."""
        digest = hashlib.sha256((run.folder / "result.json").read_bytes()).hexdigest()
        return {"entity": self.entity, "project": self.project, "id": _id(run), "result": digest}


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """The columns of W&B's table of runs: of an evaluation the row of a robustness table."""
    row = dict(result["accuracy"])
    row |= {
        k: result[k]
        for k in ("average", "average_with_clean", "ri", "n", "epochs", "seconds")
        if k in result
    }
    row |= {k: result[k] for k in ("bounded", "best_epoch", "parameters") if k in result}
    interval = result.get("interval", {})
    row |= {f"{c}_low": low for c, (low, _) in interval.items()}
    row |= {f"{c}_high": high for c, (_, high) in interval.items()}
    if "verdict" in result:
        row["verdict"] = (
            "trusted" if result["verdict"]["trusted"] else "; ".join(result["verdict"]["reasons"])
        )
    return row


def examples(run: Run) -> Iterator[list[Any]]:
    """The rows of the table of kept clips: each clean, then under each condition."""
    path = run.folder / "examples.npz"
    if not path.is_file():
        return
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    for place, key in enumerate(map(str, arrays["keys"])):
        answers = said(run.folder / "examples.csv", key)
        audio, frame = arrays["audio"][place] / 32767, arrays["frames"][place] / 255
        yield _row(key, "clean", answers["clean"], audio, frame, None)
        for i, condition in enumerate(map(str, arrays["conditions"])):
            heard, seen = change(arrays, i, place)
            yield _row(key, condition, answers[condition], audio + heard, frame + seen, seen)


def _row(
    key: str, condition: str, answer: dict[str, str], audio: Any, frame: Any, seen: Any
) -> list[Any]:
    factor = 0.0 if seen is None else factor_for(seen, 0.5)
    changed = _image(0.5 + factor * seen) if factor else None  # magnified round a middle gray
    words = [
        key,
        condition,
        answer["label"],
        answer["prediction"],
        100 * float(answer["confidence"]),
    ]
    sound = wandb.Audio(audio.clip(-1, 1).astype(np.float32), sample_rate=SAMPLE_RATE)
    return [*words, _image(frame), changed, factor, sound]


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


def _home(config: Config) -> str:
    """The folder of runs; W&B's caches, which it keeps in the user's home, go there too unless the user says where."""
    runs = Path(config["runs"]).absolute()
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
