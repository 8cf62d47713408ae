"""The files of analyses in the folders of runs: <name>.json, written and read through one type."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from avrobust.analyses.base import Analysis
from avrobust.experiments.result_files import FILE, Unreadable
from avrobust.utils.files import atomic_write, file_hash
from avrobust.utils.json_files import read_json

RESULT = "result"  # key of the hash of the result.json that was analyzed
SCHEMA = 2  # goes up when an older file can no longer be read


def write_outcome(analysis: Analysis[Any, Any], folder: Path, outcome: Any) -> Path:
    """Writes <name>.json into a run's folder, whole or not at all.

    Raises:
        ValueError: a number is not finite.
    """
    path = folder / f"{analysis.name}.json"
    content = {"schema": SCHEMA, RESULT: file_hash(folder / FILE), **asdict(outcome)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def read_outcomes(
    analysis: Analysis[Any, Any], folders: Sequence[Path]
) -> tuple[dict[Path, Any], list[Unreadable]]:
    """What an analysis found about runs, by folder, and the files that cannot be read."""
    outcomes: dict[Path, Any] = {}
    unreadable: list[Unreadable] = []
    for folder in folders:
        path = folder / f"{analysis.name}.json"
        try:
            if not path.exists():
                continue
            outcomes[folder] = read_outcome(analysis, folder)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            unreadable.append(Unreadable(path, f"damaged or of another version: {reason}"))
    return outcomes, unreadable


def read_outcome(analysis: Analysis[Any, Any], folder: Path) -> Any:
    """What an analysis found about one run.

    Raises:
        OSError: the file is not there.
        ValueError: it is damaged, of another version, or of a result that the run no longer has.
    """
    content = read_json(folder / f"{analysis.name}.json")
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise ValueError(f"not of schema {SCHEMA}; run avrobust {analysis.name} again")
    if content.pop(RESULT, None) != file_hash(folder / FILE):
        raise ValueError(
            f"of another result than the run has now; run avrobust {analysis.name} again"
        )
    try:
        return _adapter(analysis).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}") from None


@cache
def _adapter(analysis: Analysis[Any, Any]) -> TypeAdapter[Any]:
    """Built once: pydantic takes longer to build a validator than to validate a file."""
    return TypeAdapter(analysis.outcome)
