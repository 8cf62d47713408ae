"""result.json, written and read through the types of `experiments.results`.

A file of another schema version, or a damaged one, is refused with the reason and never read in
part.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import TypeAdapter, ValidationError

from avrobust.experiments.results import SCHEMA, EvaluationResult, Result, TrainResult
from avrobust.experiments.settings import Task
from avrobust.utils.files import atomic_write
from avrobust.utils.json_files import read_json

FILE = "result.json"


class Unreadable(NamedTuple):
    """A file of a run that cannot be used."""

    path: Path
    reason: str


class ResultError(Exception):
    """A result.json that cannot be read. The text is the reason in one line."""


def write_result(folder: Path, result: Result) -> None:
    """Writes result.json, whole or not at all.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(asdict(result), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(folder / FILE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_result(folder: Path) -> Result | None:
    """The result in a run's folder; None if the run is not finished.

    Raises:
        ResultError: the file is damaged or of another version.
    """
    path = folder / FILE
    try:
        if not path.exists():
            return None
        content = read_json(path)
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ResultError(f"damaged: {' '.join(str(error).split())}") from None
    result = _parse(content)
    if result.run_id != folder.name:
        raise ResultError(f"damaged: the result of another run, {result.run_id}")
    if folder.parent.name in get_args(Task) and folder.parent.name != result.task:
        raise ResultError(f"damaged: of the task {result.task}, in the folder {folder.parent.name}")
    return result


def read_evaluations(runs: Path) -> tuple[list[EvaluationResult], list[Unreadable]]:
    """Reads the results of all finished attacks.

    Args:
        runs: the folder of all runs.

    Returns:
        The results, undefended models first, and the files that cannot be read.
    """
    results: list[EvaluationResult] = []
    unreadable: list[Unreadable] = []
    for folder in _folders(runs, "attack", "defend"):
        try:
            result = read_result(folder)
        except ResultError as error:
            unreadable.append(Unreadable(folder / FILE, str(error)))
            continue
        if isinstance(result, EvaluationResult):
            results.append(result)
    return results, unreadable


def folder_of(runs: Path, task: Task, run_id: str) -> Path:
    """The folder of a run."""
    return runs / task / run_id


def _folders(runs: Path, *tasks: Task) -> Iterator[Path]:
    for task in tasks:
        for path in sorted((runs / task).glob(f"*/{FILE}")):
            yield path.parent


def _parse(content: Any) -> Result:
    if not isinstance(content, dict):
        raise ResultError("damaged: not a result")
    if content.get("schema") != SCHEMA:
        raise ResultError(
            f"written by another version of avrobust (schema {content.get('schema')}, "
            f"not {SCHEMA}); run its command again"
        )
    kind = TrainResult if content.get("task") == "train" else EvaluationResult
    try:
        result: Result = _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"damaged: {place}: {first['msg']}") from None
    if isinstance(result, EvaluationResult):
        _check_numbers(result)
    return result


def _check_numbers(result: EvaluationResult) -> None:
    """Refuses what has the right types and yet cannot come from an evaluation."""
    if result.experiment.attack is None:
        raise ResultError("damaged: experiment.attack: missing")
    if not result.conditions or not result.conditions[0].clean or not result.attacked:
        raise ResultError("damaged: conditions: not a clean one and attacks")
    names = [condition.name for condition in result.conditions]
    if len(set(names)) < len(names):
        raise ResultError("damaged: conditions: two of one name")
    for condition in result.conditions:
        accuracy = condition.accuracy
        if not set(condition.nested) <= set(names):
            raise ResultError(f"damaged: conditions.{condition.name}.nested: no such condition")
        if accuracy.n < 1 or not 0 <= accuracy.low <= accuracy.percent <= accuracy.high <= 100:
            raise ResultError(f"damaged: conditions.{condition.name}: no accuracy")


@cache
def _adapter(kind: type[Result]) -> TypeAdapter[Any]:
    """Built once: pydantic takes longer to build a validator than to validate a file."""
    return TypeAdapter(kind)
