"""Trains one classifier, or finds that it is trained already."""

import os
import shutil
import sys
import time
from pathlib import Path

import torch

from avrobust.data.batches import TrainingBatches
from avrobust.data.layout import SPLITS, Split
from avrobust.errors import UserError
from avrobust.evaluation.evaluate import evaluate
from avrobust.evaluation.metrics import Compactness, compactness
from avrobust.evaluation.summaries import summarize
from avrobust.experiments.build import build, check_trainer
from avrobust.experiments.listing import choices, settings_tree
from avrobust.experiments.results import SkippedClip, SplitResult, TrainResult
from avrobust.experiments.runs import (
    Run,
    provenance,
    run_for,
    training_of,
    training_result,
    training_run,
)
from avrobust.experiments.settings import Experiment, ModelSettings
from avrobust.experiments.sources import sources
from avrobust.models.classifier import AVClassifier, embed
from avrobust.tasks.loaded import load_trained
from avrobust.tasks.setup import (
    Parts,
    build_parts,
    check_readable,
    lease_for,
    report_overlaps,
)
from avrobust.tracking.loggers import curves, publish
from avrobust.types import Modality
from avrobust.utils.console import track, warn
from avrobust.utils.files import file_hash

ADDED_BY_A_STAGE = ("restorers.", "extra_modules.")  # weights that the stage before has not


def main(experiment: Experiment) -> TrainResult:
    """What `python train.py` does: trains; the accuracies of every split."""
    sources(experiment)  # before the code is imported
    parts = build_parts(experiment.model, experiment.execution)
    report_overlaps(parts.data)
    return training_result(trained(experiment, parts))


def trained(experiment: Experiment, parts: Parts) -> Run:
    """The finished training run of an experiment's model.

    It trains the model if there is no such run, and waits if another process trains it. A training
    of several stages needs the run of the stage before, which it finds or makes in the same way.
    """
    training = training_of(experiment, experiment.model)
    run = run_for(training, parts.data.fingerprint())
    if rank := int(os.environ.get("LOCAL_RANK", 0)):
        _join_training(training, parts, run, rank)
    with run.claim(training) as result:
        problem = run.weights_problem() if result else None
        if problem:
            warn(f"{run.checkpoint}: {problem}; the model is trained again")
            run.forget()
        if result is None or problem:
            check_trainer(training.model)
            before = _stage_before(training, parts)
            with lease_for(training.execution) as device:
                _Training(training, parts, run, before, device).work()
    publish(training, run)
    return run


def _join_training(training: Experiment, parts: Parts, run: Run, rank: int) -> None:
    """The part of a process that Lightning's DDP started: its parent has the run."""
    earlier = training.model.stage_before()
    fingerprint = parts.data.fingerprint()
    before = training_run(training, earlier, fingerprint) if earlier else None
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", rank) if on_gpu else torch.device("cpu")
    work = _Training(training, parts, run, before, device)
    work.prepare_model()
    work.fit()
    sys.exit(0)


def _stage_before(training: Experiment, parts: Parts) -> Run | None:
    """The finished run of the stage before; None if there is no such stage.

    Raises:
        UserError: it would have to be trained on several devices. Lightning's DDP starts the whole
            command again in every process, which then could not tell the stages apart.
    """
    model = training.model.stage_before()
    if model is None:
        return None
    earlier = training_of(training, model).for_prerequisites()
    run = run_for(earlier, parts.data.fingerprint())
    if run.result_for(earlier) is None and not training.execution.one_device:
        raise UserError(
            "on several devices train the stage before first: "
            f"python train.py defense={model.defense.name} ..."
        )
    return trained(earlier, build_parts(model, earlier.execution))


class _Training:
    """One training: its objects, and the steps from the first weights to result.json."""

    def __init__(
        self,
        experiment: Experiment,
        parts: Parts,
        run: Run,
        before: Run | None,
        device: torch.device,
    ) -> None:
        self.experiment, self.parts, self.run = experiment, parts, run
        self.before, self.device = before, device
        self.sources = sources(experiment)
        self.stage_before = training_result(before) if before else None

    @property
    def settings(self) -> ModelSettings:
        return self.experiment.model

    def work(self) -> None:
        """Trains and writes everything that the run leaves, the result last."""
        started = time.monotonic()
        for split in SPLITS:
            check_readable(self.parts.data, split)
        self.run.write_config(self.experiment)
        self.prepare_model()
        from avrobust.training.checkpoints import read_checkpoint  # imports Lightning

        state = read_checkpoint(self.fit())
        weights = {name.removeprefix("model."): w for name, w in state["state_dict"].items()}
        model = self.parts.model.float()  # trainer.precision=64-true has made it float64
        model.load_state_dict(weights)
        self._save_checkpoint(state["epoch"])
        self.run.write_result(self._result(started, best_epoch=state["epoch"] + 1))
        shutil.rmtree(self.run.training)

    def _weights_before(self) -> dict[str, str]:
        """The hashes of the checkpoints of all stages before."""
        return self.stage_before.weights if self.stage_before else {}

    def fit(self) -> Path:
        """Trains on Lightning; the path of the best epoch's checkpoint."""
        from avrobust.training.checkpoints import Origin
        from avrobust.training.datamodule import LitData  # Lightning takes long to import
        from avrobust.training.fit import fit
        from avrobust.training.module import LitClassifier

        execution, settings = self.experiment.execution, self.settings
        robust = self.parts.defense.robust_validation
        module = LitClassifier(
            self.parts.model, settings.training, self.parts.defense, seed=settings.seed
        )
        data = LitData(
            self.parts.data,
            batch_size=settings.training.batch_size,
            eval_batch_size=self.parts.batch_size,
            workers=execution.workers,
            seed=settings.seed,
            robust_clips=robust.clips if robust else 0,
        )
        leased = self.device if self.device.type == "cuda" and execution.parallel_jobs else None
        with curves(self.experiment, self.run) as loggers:
            return fit(
                module,
                data,
                self.run.folder,
                build("trainer", settings.trainer),
                origin=Origin(self.run.run_id, self.sources, self._weights_before()),
                loggers=loggers,
                one_device=execution.one_device,
                leased=leased,
            )

    def prepare_model(self) -> None:
        """Loads the stage before and lets the defense prepare what it added to the model.

        A killed run repeats this; its own state is loaded over it afterwards.
        """
        model, defense = self.parts.model, self.parts.defense
        if self.before:
            load_trained(self.before, model, optional=ADDED_BY_A_STAGE)
        batches = TrainingBatches(
            self.parts.data,
            batch_size=self.settings.training.batch_size,
            workers=self.experiment.execution.workers,
            seed=self.settings.seed,
            augmented=defense.setup_clips == "augmented",
        )
        defense.setup(model.to(self.device), batches)
        model.to("cpu")

    def _save_checkpoint(self, epoch: int) -> None:
        """Keeps the best epoch's weights, and what they are of; plain values and tensors alone."""
        from avrobust.training.checkpoints import write_checkpoint

        state = {
            "state_dict": self.parts.model.state_dict(),
            "choices": choices(self.experiment),
            "settings": settings_tree(self.experiment),
            "classes": self.parts.data.classes,
            "epoch": epoch,
        }
        write_checkpoint(state, self.run.checkpoint)

    def _result(self, started: float, *, best_epoch: int) -> TrainResult:
        data, before = self.parts.data, self.stage_before
        model = self.parts.model.to(self.device)
        splits, skipped = self._splits(model)
        return TrainResult(
            run_id=self.run.run_id,
            experiment=self.experiment,
            data=data.fingerprint(),
            classes=tuple(data.classes),
            overlaps=data.overlaps(),
            splits=splits,
            skipped=skipped,
            compactness=self._compactness(model),
            epochs=self.settings.training.epochs + (before.epochs if before else 0),
            stage_before=before.run_id if before else None,
            best_epoch=best_epoch,
            best_by="robust" if self.parts.defense.robust_validation else "clean",
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            seconds=round(time.monotonic() - started, 1),
            provenance=provenance(),
            sources=self.sources,
            weights={**self._weights_before(), self.run.run_id: file_hash(self.run.checkpoint)},
        )

    def _splits(
        self, model: AVClassifier
    ) -> tuple[dict[Split, SplitResult], tuple[SkippedClip, ...]]:
        """Accuracy on the center crop of every split, and the clips that could not be read."""
        splits: dict[Split, SplitResult] = {}
        skipped: list[SkippedClip] = []
        for split in SPLITS:
            batches = self.parts.batches(split, self.experiment.execution)
            shown = track(batches, f"accuracy on {split}", len(batches))
            summary = summarize(evaluate(model, shown, device=self.device))
            splits[split] = SplitResult(summary.accuracy["clean"], summary.n)
            for clip in batches.skipped:
                skipped.append(SkippedClip(clip.key, clip.reason))
        return splits, tuple(skipped)

    def _compactness(self, model: AVClassifier) -> dict[Modality, Compactness | None]:
        """Of each modality's embeddings of the test clips."""
        features, label = embed(model, self.parts.batches("test", self.experiment.execution))
        by_modality: dict[Modality, Compactness | None] = {}
        for modality in model.fusion.uses:
            embeddings = getattr(features, modality).cpu().numpy()
            by_modality[modality] = compactness(embeddings, label.cpu().numpy())
        return by_modality
