"""Attacks one trained classifier: one row of a table."""

import csv
import io
import time
from collections.abc import Iterable
from typing import Any

import torch

from avrobust.analyses.verdict.compute import Context, judge
from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.attacks.targeted import Targeted
from avrobust.attacks.transfer import Transfer
from avrobust.data.layout import SPLITS
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.summaries import (
    cost,
    success_by_attack,
    summarize,
    targeted_success_rate,
)
from avrobust.experiments.config import build
from avrobust.experiments.identity import Task, source_of
from avrobust.experiments.runs import Run, provenance, run_for
from avrobust.models.classifier import AVClassifier
from avrobust.tasks.examples import Examples
from avrobust.tasks.loaded import Loaded, Shortcuts, loaded
from avrobust.tasks.parts import (
    Config,
    EvaluationBatches,
    Parts,
    build_parts,
    evaluating,
    report_overlaps,
)
from avrobust.tasks.source import beside_white_box, source_model
from avrobust.tasks.train import trained
from avrobust.threats import Threat
from avrobust.tracking.loggers import publish
from avrobust.types import Record
from avrobust.utils.console import track


def main(config: Config) -> dict[str, Any]:
    """What `python attack.py` does: clean, xA, xV, xAV and Avg of a model under an attack, as in its result.json."""
    attacker, parts, run = begin("attack", config)
    with run.claim(force=config["force"]) as result:
        if result is None:
            # A forced attack is made again; the model it attacks is not trained again for that.
            plain = {**config, "force": False}
            model_run = trained(plain, parts)
            if other := source_of(plain):
                own = main(
                    {**plain, "source": None}
                )  # without it nobody could tell what a transferred row is worth
                source_run, source = source_model(other)
            started = time.monotonic()
            with evaluating(config) as device:
                target = loaded(
                    model_run, parts.model, attacker.batches(parts), device, attacker.shortcuts
                )
                if other:
                    attacker.attack = Transfer(attacker.attack, source.to(device))
                examples = attacker.examples(parts)
                records = attacker.records(target, parts, device, examples)
                judged = attacker.judged(target.model, parts, device, records)
            row = {**attacker.row(records, parts, run, model_run), **judged}
            if other:
                row.update(beside_white_box(records, source_run, own))
            row["seconds"] = round(time.monotonic() - started, 1)
            result = finish(run, config, records, parts, row, examples)
    publish(config, run)
    return result


def begin(task: Task, config: Config) -> tuple["Attacker", Parts, Run]:
    """What an evaluation of this config needs, refused early if it does not fit, and the run it belongs to."""
    attacker = Attacker(config)
    parts = build_parts(config)
    attacker.attack.validate(parts.model.head.out_features)
    report_overlaps(parts.data)
    return attacker, parts, run_for(task, config, parts.data.fingerprint())


class Attacker:
    """The attack and the threats of one config, refused early if they do not fit."""

    def __init__(self, config: Config) -> None:
        if config["split"] not in SPLITS:
            raise UserError(f"split={config['split']}: choices: {', '.join(SPLITS)}")
        if config.get("clips") is not None and config["clips"] < 1:
            raise UserError(f"clips={config['clips']}: at least 1, or null for all")
        self.config = config
        self.attack: Attack = build("attack", config["attack"])
        if config.get("target"):
            self.attack = Targeted(self.attack, config["target"])
        self.suite: dict[str, Threat] = build("threat", config["threat"])
        for threat in self.suite.values():
            self.attack.validate_norms(threat)
        self.shortcuts = Shortcuts(
            amp=config.get("amp", False), compile=config.get("compile", False)
        )
        self.skipped: list[dict[str, str]] = []  # clips that could not be read

    def examples(self, parts: Parts) -> Examples:
        """The clips that the run is to keep."""
        return Examples(self.batches(parts).keys, self.config.get("examples", 0))

    def batches(self, parts: Parts) -> EvaluationBatches:
        """The clips to attack."""
        return EvaluationBatches(self.config, parts, self.config["split"], self.config.get("clips"))

    def records(
        self,
        target: Loaded,
        parts: Parts,
        device: torch.device,
        examples: Examples,
        objective: Objective = cross_entropy,
        name: str = "",
    ) -> list[Record]:
        """What the model says of every clip, clean and attacked."""
        config, batches = self.config, self.batches(parts)
        title = " ".join(
            filter(None, (config["choices"]["attack"], name, "on", config["choices"]["fusion"]))
        )
        shown = track(batches, title, len(batches))
        found = evaluate(
            target.model,
            shown,
            self.attack,
            self.suite,
            objective=objective,
            seed=config["seed"],
            device=device,
            watch=examples.keep,
            known=target.known,
        )
        self.skipped = batches.skipped
        return found

    def judged(
        self,
        model: AVClassifier,
        parts: Parts,
        device: torch.device,
        records: list[Record],
        *,
        adaptive: bool = False,
    ) -> dict[str, Any]:
        """What the attack left out, and its verdict on the numbers, if it ends with one."""
        left_out = self.attack.unsupported(model, model.head.out_features, self.suite.values())
        if not self.attack.judges_itself:
            return {"left_out": left_out}
        batches = self.batches(parts)
        context = Context(optimizes=parts.defense.optimizes, adaptive=adaptive)
        shown = track(batches, "verdict", len(batches))
        verdict = judge(model, shown, self.suite, records, context=context, device=device)
        return {"left_out": left_out, "verdict": verdict._asdict()}

    def row(self, records: list[Record], parts: Parts, run: Run, model_run: Run) -> dict[str, Any]:
        """The numbers of a result.json."""
        return {
            "task": run.task,
            "run_id": run.run_id,
            "config": dict(self.config),
            "dataset": self.config["choices"]["dataset"],
            "data": parts.data.fingerprint(),
            "model": model_run.run_id,
            "epochs": (model_run.result() or {})["epochs"],
            "bounded": self.attack.bounded,
            **summarize(records)._asdict(),
            "largest_distance": {
                "audio": max(r.audio_distance for r in records),
                "visual": max(r.visual_distance for r in records),
            },
            "felled": success_by_attack(records),
            "cost": cost(records),
            "reached": targeted_success_rate(records),
            "skipped": self.skipped,
        }


def finish(
    run: Run,
    config: Config,
    records: list[Record],
    parts: Parts,
    row: dict[str, Any],
    examples: Examples,
) -> dict[str, Any]:
    """Writes the files of a finished run, the result last."""
    result = {**row, **provenance()}
    run.write_config(config)
    run.write("examples.csv", _csv(records, parts.data.classes))
    examples.write(run)
    run.write_result(result)
    return result


def _csv(records: Iterable[Record], classes: list[str]) -> str:
    """Records as CSV, with class names for labels and predictions."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Record._fields)
    for record in records:
        row: dict[str, Any] = record._asdict()
        for column in ("label", "prediction", "target"):
            if row[column] is not None:
                row[column] = classes[row[column]]
        table.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in row.values()])
    return text.getvalue()
