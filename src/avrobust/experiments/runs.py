"""The folder of a run: its identity, its files, and whether it is finished.

    <runs>/<task>/<run_id>/  config.yaml result.json examples.csv metrics.csv checkpoint.ckpt error.txt

`run_id` hashes the resolved config without what changes no number (paths, hardware, loggers,
evaluation batch size), so that the same science has the same folder from a plain run, a multirun or
any launcher. result.json is whole or absent.
"""

import hashlib
import json
import platform
import subprocess
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from omegaconf import OmegaConf

from avrobust.errors import UserError
from avrobust.experiments.config import build
from avrobust.experiments.identity import Task, attack_name, science
from avrobust.utils.files import atomic_write

PACKAGES = (
    "avrobust",
    "torch",
    "torchvision",
    "torchaudio",
    "pytorch-lightning",
    "hydra-core",
    "numpy",
)


class Run(NamedTuple):
    """One run's place on disk."""

    task: Task
    run_id: str
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The trained weights."""
        return self.folder / "checkpoint.ckpt"

    def result(self) -> dict[str, Any] | None:
        """The finished run's result, or None."""
        path = self.folder / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @contextmanager
    def claim(self, *, force: bool) -> Iterator[dict[str, Any] | None]:
        """Waits until nobody else works on this run, then yields the finished result, or None if there is work to do.

        A failure is written to error.txt and raised on; a success clears it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            if force:
                (self.folder / "result.json").unlink(missing_ok=True)
            try:
                yield self.result()
            except Exception as error:
                self.write("error.txt", _described(error))
                raise
            (self.folder / "error.txt").unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes one of the run's files whole."""
        with atomic_write(self.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Keeps the resolved config beside the result."""
        self.write("config.yaml", OmegaConf.to_yaml(dict(config)))

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Declares the run finished. Write everything else before."""
        self.write("result.json", json.dumps(dict(result), indent=2, ensure_ascii=False) + "\n")


def run_for(task: Task, config: Mapping[str, Any], fingerprint: str) -> Run:
    """The run that a resolved config describes, on the data with this fingerprint."""
    content = json.dumps(
        {"task": task, "data": fingerprint, **science(task, config)}, sort_keys=True
    )
    run_id = f"{_prefix(task, config)}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"
    return Run(task, run_id, Path(config["runs"]) / task / run_id)


def finished(task: Task, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result of the run that a resolved config describes, if it is there; asks neither torch nor a lock."""
    root = Path(config["dataset"].get("root") or "")
    # Without its description a data set may have to be generated first, and only for a config that
    # has been checked.
    if config["force"] or not (root / "prepare.json").is_file():
        return None
    data = build("dataset", config["dataset"])
    return run_for(task, config, data.fingerprint()).result()


def provenance() -> dict[str, Any]:
    """Versions and git state, for the result."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {"versions": versions, "git": _git_state()}


def _described(error: Exception) -> str:
    """The reason in the first line; after it where it arose, unless it was the user's mistake."""
    trace = (
        "" if isinstance(error, UserError) else "\n" + "".join(traceback.format_exception(error))
    )
    return f"{type(error).__name__}: {error}\n{trace}"


def _prefix(task: Task, config: Mapping[str, Any]) -> str:
    choices = config["choices"]
    parts = [choices["dataset"], choices["fusion"]]
    if choices["defense"] != "none":
        parts.append(choices["defense"])
    if task != "train":
        parts += [attack_name(config).replace(" ", "-"), choices["threat"], f"{config['eps']:g}"]
    return "-".join([*parts, f"s{config['seed']}"])


def _git_state() -> str | None:
    """The commit that the code is of, with a "+" if it was changed since; None outside a git checkout."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty=+",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
