"""Trains one classifier, or finds that it is trained already."""

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import torch

from avrobust.data.layout import SPLITS
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate, summarize
from avrobust.evaluation.metrics import compactness
from avrobust.experiments.identity import stage_before
from avrobust.experiments.runs import Run, provenance, run_for
from avrobust.models.classifier import AVClassifier, embed
from avrobust.tasks.parts import (
    Config,
    EvaluationBatches,
    Parts,
    TrainingBatches,
    build_parts,
    lease_for,
    report_overlaps,
    try_one_clip,
)
from avrobust.tracking.loggers import publish
from avrobust.utils.console import track
from avrobust.utils.files import whole

if TYPE_CHECKING:
    from avrobust.training.lightning import LitClassifier

# Lightning is imported where something is trained: what is trained already does not wait for it.


def main(config: Config) -> dict[str, Any]:
    """What `python train.py` does: trains; the accuracies, as in its result.json."""
    parts = build_parts(config)
    report_overlaps(parts.data)
    result = trained(config, parts).result()
    assert result is not None
    return result


def trained(config: Config, parts: Parts) -> Run:
    """The finished training run of this config; trains it if there is none, waits if another process is at it.

    A run of several stages needs the run of the stage before, which it looks for, and trains, in
    the same way.
    """
    data, earlier = parts.data.fingerprint(), stage_before(config)
    run = run_for("train", config, data)
    if rank := int(
        os.environ.get("LOCAL_RANK", 0)
    ):  # a process that Lightning's DDP started: its parent has the run
        before = run_for("train", earlier, data) if earlier else None
        from avrobust.training.fit import fit

        device = torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
        fit(config, parts, run, _lit(config, parts, before, device), device)
        sys.exit(0)
    with run.claim(force=config["force"]) as result:
        if result is None:
            before = _stage(earlier, data) if earlier else None
            with lease_for(config) as device:
                _train(config, parts, run, before, device)
    publish(config, run)
    return run


def _stage(config: Config, data: str) -> Run:
    """The finished run of an earlier stage.

    Raises:
        UserError: it would have to be trained on several devices, as Lightning's DDP starts the
            whole command again in every process, which then could not tell the stages apart.
    """
    run = run_for("train", config, data)
    if run.result() is None and config["trainer"].get("devices") != 1:
        defense = config["choices"]["defense"]
        raise UserError(
            f"on several devices train the stage before first: python train.py defense={defense} ..."
        )
    return trained({**config, "force": False}, build_parts(config))


def load_trained(run: Run, model: AVClassifier, *, but: tuple[str, ...] = ()) -> AVClassifier:
    """Puts a run's weights into a model that was built from the same config.

    Args:
        run: finished.
        model: takes the weights.
        but: parts of the model that may be missing in the checkpoint: what a later stage adds.

    Raises:
        UserError: the checkpoint is missing or damaged.
    """
    try:
        state = torch.load(run.checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        added = (
            {k: v for k, v in model.state_dict().items() if k.startswith(but) and k not in state}
            if but
            else {}
        )
        model.load_state_dict({**state, **added})
    except Exception as error:  # torch.load raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{run.checkpoint}: not a checkpoint of this model ({type(error).__name__}: {reason}); "
            "train it again with force=true"
        ) from None
    return model


def _train(
    config: Config, parts: Parts, run: Run, before: Run | None, device: torch.device
) -> None:
    from avrobust.training.fit import fit

    started = time.monotonic()
    run.write_config(config)
    lit = _lit(config, parts, before, device)
    try_one_clip(parts.model, parts.data.clips("val"))
    try_one_clip(parts.model, parts.data.clips("train", training=True, seed=config["seed"]))
    best = fit(config, parts, run, lit, device)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    lit.load_state_dict(state["state_dict"])
    _save(run, lit.model, config, parts.data.classes, state["epoch"])
    earlier = before.result() if before else None
    run.write_result(
        {
            "task": "train",
            "run_id": run.run_id,
            "config": dict(config),
            "dataset": config["choices"]["dataset"],
            "data": parts.data.fingerprint(),
            "classes": parts.data.classes,
            "overlaps": parts.data.overlaps(),
            **_accuracies(config, parts, lit.model.to(device), device),
            "compactness": _compactness(config, parts, lit.model),
            "epochs": parts.recipe.epochs + (earlier["epochs"] if earlier else 0),  # of all stages
            "stage_before": before.run_id if before else None,
            "best_epoch": state["epoch"] + 1,
            "parameters": sum(p.numel() for p in lit.model.parameters()),
            "seconds": round(time.monotonic() - started, 1),
            **provenance(),
        }
    )
    shutil.rmtree(run.folder / "training")


def _lit(config: Config, parts: Parts, before: Run | None, device: torch.device) -> "LitClassifier":
    """The module to train, its defense's state prepared; a killed run's own state is loaded over that afterwards."""
    from avrobust.training.lightning import LitClassifier

    model, defense = parts.model, parts.defense
    if before:
        load_trained(before, model, but=("restorers.", "learned."))
    batches = TrainingBatches(config, parts, augmented=defense.begins_on == "augmented")
    defense.begin(model.to(device), batches)
    return LitClassifier(model.to("cpu"), parts.recipe, defense, seed=config["seed"])


def _accuracies(
    config: Config, parts: Parts, model: AVClassifier, device: torch.device
) -> dict[str, Any]:
    """Accuracy on the center crop of every split, in percent, and the clips that could not be read."""
    accuracy, skipped, n = {}, [], {}
    for split in SPLITS:
        batches = EvaluationBatches(config, parts, split)
        records = evaluate(
            model, track(batches, f"accuracy on {split}", len(batches)), device=device
        )
        summary = summarize(records)
        accuracy[split], n[split] = summary.accuracy["clean"], summary.n
        skipped += batches.skipped
    return {"accuracy": accuracy, "n": n, "skipped": skipped}


def _compactness(
    config: Config, parts: Parts, model: AVClassifier
) -> dict[str, dict[str, float] | None]:
    """Of each modality's embeddings of the test clips."""
    features, label = embed(model, EvaluationBatches(config, parts, "test"))
    arrays = {m: getattr(features, m).cpu().numpy() for m in model.fusion.uses}
    return {modality: compactness(array, label.cpu().numpy()) for modality, array in arrays.items()}


def _save(run: Run, model: AVClassifier, config: Config, classes: list[str], epoch: int) -> None:
    """Keeps the best epoch's weights, with what is needed to build the model again; plain values and tensors alone."""
    state = {
        "state_dict": model.state_dict(),
        "config": dict(config),
        "classes": classes,
        "epoch": epoch,
    }
    with whole(run.checkpoint) as aside:
        torch.save(state, aside)
