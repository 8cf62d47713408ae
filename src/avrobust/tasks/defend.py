"""Trains a defended model and attacks it with what an attacker who knows the defense would try."""

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.defenses.base import Defense
from avrobust.errors import UserError
from avrobust.evaluation.metrics import mcnemar, robustness_improvement
from avrobust.evaluation.summaries import sum_queries, summarize, worst_case
from avrobust.experiments.identity import source_of
from avrobust.tasks import attack as undefended
from avrobust.tasks.attack import Attacker, begin, finish
from avrobust.tasks.examples import worst_of
from avrobust.tasks.loaded import loaded
from avrobust.tasks.parts import Config, Parts, evaluating
from avrobust.tasks.train import trained
from avrobust.tracking.loggers import publish
from avrobust.types import STANDARD_NAMES as CONDITIONS
from avrobust.types import Record

ADAPTIVE = ("worst", "paper")


def main(config: Config) -> dict[str, Any]:
    """What `python defend.py` does: the defended model's row under the adaptive attack, with RI and McNemar's test.

    Both are against the undefended model of the same config, which is trained and attacked first if
    it is not there.
    """
    if config["adaptive"] not in ADAPTIVE:
        raise UserError(f"adaptive={config['adaptive']}: choices: {', '.join(ADAPTIVE)}")
    if config["choices"]["defense"] == "none":
        raise UserError(
            "defense=none: what it is compared with is python attack.py; choose a defense"
        )
    if source_of(config):
        raise UserError(
            "source: defend.py attacks the defended model itself; transfer is a matter of attack.py"
        )
    if config.get("target"):
        raise UserError(
            "target: what a defense declares leads to no class; python attack.py attacks it with a target"
        )
    attacker, parts, run = begin("defend", config)
    with run.claim(force=config["force"]) as result:
        if result is None:
            plain = {**config, "force": False}
            against = undefended.main(_undefended(plain))
            model_run = trained(plain, parts)
            started = time.monotonic()
            declared = adaptive(config, parts.defense)
            attacker.attack, objectives = attacker.attack.adaptive_attack(declared)
            with evaluating(config) as device:
                target = loaded(
                    model_run, parts.model, attacker.batches(parts), device, attacker.shortcuts
                )
                kept = {name: attacker.examples(parts) for name in objectives}
                found = {
                    n: attacker.records(target, parts, device, kept[n], o, n)
                    for n, o in objectives.items()
                }
                hardest = worst_case(list(found.values()))
                records = sum_queries(hardest, list(found.values()))
                judged = attacker.judged(
                    target.model, parts, device, records, adaptive=len(declared) > 1
                )
            row = {**attacker.row(records, parts, run, model_run), **judged}
            comparison = {
                "objectives": {name: summarize(r).accuracy for name, r in found.items()},
                "ri": robustness_improvement(row["accuracy"], against["accuracy"]),
                "against": {
                    name: against[name] for name in ("run_id", "accuracy", "average", "epochs")
                },
                **_compare(records, Path(config["runs"]) / "attack" / against["run_id"]),
                "seconds": round(time.monotonic() - started, 1),
            }
            examples = worst_of(list(kept.values()), list(found.values()), hardest)
            result = finish(run, config, records, parts, {**row, **comparison}, examples)
    publish(config, run)
    return result


def adaptive(config: Config, defense: Defense) -> dict[str, Objective]:
    """What a defended model of this config is attacked on, by name."""
    objectives = defense.objectives()
    if config["adaptive"] == "paper":
        return {name: o for name, o in objectives.items() if name == defense.paper_objective}
    return objectives


def attacked_by(
    folder: Path, attacker: Attacker, parts: Parts
) -> tuple[Attack, Mapping[str, Objective]]:
    """The attack that the finished run in a folder was made with, and its objectives."""
    if folder.resolve().parent.name == "defend":
        return attacker.attack.adaptive_attack(adaptive(attacker.config, parts.defense))
    return attacker.attack, {"cross_entropy": cross_entropy}


def _undefended(config: Config) -> Config:
    """The same without a defense; trained twice as well if the defense's config says so."""
    match = config["defense"]["match_epochs"]
    choices = {k: v for k, v in config["choices"].items() if not k.startswith("defense")}
    none = {"_target_": "avrobust.defenses.none.Undefended", "match_epochs": match}
    return {**config, "defense": none, "choices": {**choices, "defense": "none"}}


def _compare(records: list[Record], against: Path) -> dict[str, Any]:
    """On the same clips: how many one model alone has right, and McNemar's p of both being equally good."""
    with (against / "examples.csv").open(newline="", encoding="utf-8") as file:
        theirs = {
            (row["key"], row["condition"]): row["correct"] == "True" for row in csv.DictReader(file)
        }
    found: dict[str, tuple[int, int]] = {}
    for condition in CONDITIONS:
        pairs = [(r.correct, theirs[r.key, condition]) for r in records if r.condition == condition]
        found[condition] = (sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs))
    return {"discordant": found, "mcnemar": {c: mcnemar(*counts) for c, counts in found.items()}}
