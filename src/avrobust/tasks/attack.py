"""Attacks one trained classifier: one row of a table."""

import csv
import io
import time
from collections.abc import Iterable
from typing import Any

import torch

from avrobust.attacks.base import Attack
from avrobust.attacks.threat import Threat
from avrobust.config import build
from avrobust.console import track
from avrobust.data.layout import SPLITS
from avrobust.errors import UserError
from avrobust.evaluation import Summary, evaluate, summarise
from avrobust.runs import Run, provenance, run_for
from avrobust.tasks.parts import Config, EvaluationBatches, Parts, build_parts, lease_for, report_overlaps
from avrobust.tasks.train import load_trained, trained
from avrobust.types import Condition, Record


def main(config: Config) -> dict[str, Any]:
    """What `python attack.py` does: clean, xA, xV, xAV and Avg of a model under an attack, as in its result.json."""
    if config["split"] not in SPLITS:
        raise UserError(f"split={config['split']}: choices: {', '.join(SPLITS)}")
    attack: Attack = build("attack", config["attack"])
    suite: dict[Condition, Threat] = build("threat", config["threat"])
    parts = build_parts(config)
    report_overlaps(parts.data)
    run = run_for("attack", config, parts.data.fingerprint())
    with run.claim(force=config["force"]) as result:
        if result is None:
            # A forced attack is made again; the model it attacks is not trained again for that.
            model_run = trained({**config, "force": False}, parts)
            with lease_for(config) as device:
                result = _attack(config, parts, attack, suite, run, model_run, device)
    return result


def _attack(
    config: Config,
    parts: Parts,
    attack: Attack,
    suite: dict[Condition, Threat],
    run: Run,
    model_run: Run,
    device: torch.device,
) -> dict[str, Any]:
    started = time.monotonic()
    model = load_trained(model_run, parts.model).to(device)
    run.write_config(config)
    batches = EvaluationBatches(config, parts.data, config["split"])
    _exact_arithmetic()
    records = evaluate(
        model,
        track(batches, f"{config['choices']['attack']} on {run.run_id}", len(batches)),
        attack,
        suite,
        seed=config["seed"],
        device=device,
    )
    run.write("examples.csv", _csv(records, parts.data.classes))
    result = {
        "task": "attack",
        "run_id": run.run_id,
        "config": dict(config),
        "dataset": config["choices"]["dataset"],
        "data": parts.data.fingerprint(),
        "model": model_run.run_id,
        "bounded": attack.bounded,
        **_row(summarise(records), records),
        "skipped": batches.skipped,
        "seconds": round(time.monotonic() - started, 1),
        **provenance(),
    }
    run.write_result(result)
    return result


def _row(summary: Summary, records: list[Record]) -> dict[str, Any]:
    distances = {
        "audio": max(r.audio_distance for r in records),
        "visual": max(r.visual_distance for r in records),
    }
    return {**summary._asdict(), "largest_distance": distances}


def _csv(records: Iterable[Record], classes: list[str]) -> str:
    """Records as CSV, with class names for labels and predictions."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Record._fields)
    for record in records:
        named = record._replace(label=classes[record.label], prediction=classes[record.prediction])  # type: ignore[arg-type]
        table.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in named])
    return text.getvalue()


def _exact_arithmetic() -> None:
    """Full float32 on GPUs: TF32 would change which clips stand."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
