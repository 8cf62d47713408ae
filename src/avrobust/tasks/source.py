"""Another model that the clips of an attack are made on, and what that says about the attack on the model itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from avrobust.analyses.verdict.compute import compare_transfer
from avrobust.experiments.runs import Run
from avrobust.models.classifier import AVClassifier
from avrobust.models.folding import folded
from avrobust.tasks.parts import Config, build_parts
from avrobust.tasks.train import load_trained, trained
from avrobust.types import STANDARD_NAMES as CONDITIONS
from avrobust.types import Record


def source_model(config: Config) -> tuple[Run, AVClassifier]:
    """The finished run of a config, trained if there is none, and its model as it is attacked."""
    parts = build_parts(config)
    run = trained(config, parts)
    return run, folded(load_trained(run, parts.model))


def beside_white_box(
    records: Sequence[Record], source: Run, own: Mapping[str, Any]
) -> dict[str, Any]:
    """What a result of transferred clips says beside its own numbers.

    Args:
        records: of the transferred clips.
        source: the run of the model that they were made on.
        own: the result of the same attack on the attacked model itself, on the same clips.
    """
    checks = []
    for condition in CONDITIONS[1:]:
        mine = [record.correct for record in records if record.condition == condition]
        left = round(own["accuracy"][condition] / 100 * len(mine))
        checks.append(compare_transfer(condition, left, sum(mine), len(mine)))
    reasons = [f"{check.condition}: {check.text}" for check in checks if check.suspicious]
    white_box = {"run_id": own["run_id"], "accuracy": own["accuracy"], "reasons": reasons}
    return {"source": source.run_id, "white_box": white_box}
