"""Which code made a result, and whether a finished result is still that of the code at hand.

A result keeps two kinds of hashes: of the source code of each option (`sources`) and of the
checkpoints that it rests on (`weights`). Neither is in a run's identity. Nothing is imported here.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from avrobust.experiments.options import Option, class_name
from avrobust.experiments.result_files import FILE, ResultError, folder_of, read_result
from avrobust.experiments.results import Result, TrainResult
from avrobust.experiments.settings import Experiment, ModelSettings
from avrobust.utils.source_code import NOT_FOUND, OURS, SourceCode, source_code

# Libraries whose versions stand in every result.
LIBRARIES = ("torch", "torchvision", "torchaudio", "pytorch_lightning", "lightning_fabric")

Sources = dict[str, str]  # by the path of an option in the config, the fingerprint of its code


class Chosen(NamedTuple):
    """One option of an experiment, or a part of one."""

    path: str  # in the config, for example "defense.base"
    name: str
    target: str


class Stale(NamedTuple):
    """Why a finished result is not that of the code at hand."""

    mark: str  # for tables, for example "other code: fusion"
    reason: str  # one line
    changed: bool = True  # False where the result is older than this check


def sources(experiment: Experiment) -> Sources:
    """The fingerprint of the code of each option."""
    fingerprints = {}
    for chosen, code in _codes(experiment):
        fingerprints[chosen.path] = code.fingerprint
    return fingerprints


def stale(result: Result, experiment: Experiment, runs: Path) -> Stale | None:
    """Why a result is not what the experiment would give now; None if it is.

    The code of avrobust itself is compared within one version of it. From one version to another
    its revisions tell, which are in the run's identity.

    Args:
        result: of a finished run.
        experiment: what is asked for, with the same identity; `result.experiment` if nothing is.
        runs: the folder of all runs.
    """
    same_version = result.provenance.versions.get(OURS) == _our_version()
    changed, unknown = [], []
    for chosen, code in _codes(experiment):
        recorded = result.sources.get(chosen.path)
        if code.fingerprint in (NOT_FOUND, recorded) or (code.ours and not same_version):
            continue
        if recorded is not None:
            changed.append((chosen, code))
        elif not code.ours:
            unknown.append((chosen, code))
    if changed:
        options, files = _named(changed)
        reason = f"{options}: its code ({files}) has changed since {result.run_id} was computed"
        return Stale(f"other code: {_paths(changed)}", reason)
    if unknown:
        options, _ = _named(unknown)
        reason = f"{options}: {result.run_id} does not say which code made it"
        return Stale(f"unknown code: {_paths(unknown)}", reason, changed=False)
    return _stale_weights(result, runs)


def _stale_weights(result: Result, runs: Path) -> Stale | None:
    """Why a result rests on weights that are there no more."""
    for run_id, weights in result.weights.items():
        if run_id == result.run_id:
            continue
        now = _weights(folder_of(runs, "train", run_id))
        if now and now != weights:
            reason = f"the model {run_id} was trained again since {result.run_id} was computed"
            return Stale("other weights", reason)
    return None


def _weights(folder: Path) -> str:
    """The hash of a training run's checkpoint as its result says it; empty if that is not there."""
    try:
        return _recorded_weights(folder, (folder / FILE).stat().st_mtime_ns)
    except OSError:
        return ""


@cache
def _recorded_weights(folder: Path, modified: int) -> str:
    try:
        result = read_result(folder)
    except ResultError:
        return ""
    return result.weights.get(result.run_id, "") if isinstance(result, TrainResult) else ""


@cache
def _our_version() -> str:
    return version(OURS)


def _codes(experiment: Experiment) -> Iterator[tuple[Chosen, SourceCode]]:
    """The options whose code can change a number, each with its code."""
    for chosen in _chosen(experiment):
        # Libraries have versions. A data set is recognized by its content; how avrobust reads it
        # has SAMPLING_REVISION.
        package = chosen.target.partition(".")[0]
        reads_data = chosen.path.rpartition(".")[2] == "dataset"
        if package not in LIBRARIES and not (package == OURS and reads_data):
            yield chosen, source_code(chosen.target)


def _chosen(experiment: Experiment) -> Iterator[Chosen]:
    attack = experiment.attack
    yield from _of_model("", experiment.model)
    if attack:
        yield from _with_parts("attack", attack.attack)
        yield from _with_parts("threat", attack.threat)
        for name, option in attack.conditions.items():
            yield from _with_parts(f"conditions.{name}", option)
        if attack.source:
            yield from _of_model("source.", attack.source)


def _of_model(prefix: str, model: ModelSettings) -> Iterator[Chosen]:
    for group in ("dataset", "audio", "visual", "fusion", "defense", "trainer"):
        yield from _with_parts(f"{prefix}{group}", getattr(model, group))


def _with_parts(path: str, option: Option) -> Iterator[Chosen]:
    """An option and all that it is made of, lists of nodes included."""
    yield Chosen(path, option.name, option.target)
    for key, part in option.parts.items():
        yield from _with_parts(f"{path}.{key}", part)
    for key, value in option.values.items():
        yield from _in_values(f"{path}.{key}", value)


def _in_values(path: str, value: Any) -> Iterator[Chosen]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            target = str(value["_target_"])
            yield Chosen(path, class_name(target), target)
        for key, item in value.items():
            yield from _in_values(f"{path}.{key}", item)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _in_values(f"{path}.{place}", item)


def _named(codes: list[tuple[Chosen, SourceCode]]) -> tuple[str, str]:
    """The options and the files of their code, for one line."""
    options = dict.fromkeys(f"{chosen.path}={chosen.name}" for chosen, _ in codes)
    files = dict.fromkeys(code.file for _, code in codes)
    return ", ".join(options), ", ".join(files)


def _paths(codes: list[tuple[Chosen, SourceCode]]) -> str:
    return ", ".join(chosen.path for chosen, _ in codes)
