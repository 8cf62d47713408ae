"""The LightningModule that trains a classifier as its defense says."""

import math
from typing import Any, final

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from avrobust.data.clips import LoadedBatch
from avrobust.defenses.base import Defense
from avrobust.errors import UserError
from avrobust.models.classifier import AVClassifier
from avrobust.training.recipe import Recipe
from avrobust.utils.randomness import generator


@final
class LitClassifier(pl.LightningModule):
    """Trains a classifier as its defense says; logs train and val loss and accuracy every epoch.

    Attributes:
        monitor: the logged value by which the best epoch is chosen.

    Args:
        model: what is trained.
        recipe: optimizer, learning rates and schedule.
        defense: gives the loss of a batch.
        seed: of the defense's random draws.
    """

    def __init__(self, model: AVClassifier, recipe: Recipe, defense: Defense, *, seed: int) -> None:
        super().__init__()
        self.model, self.recipe, self.defense, self.seed = model, recipe, defense, seed
        classes = model.head.out_features
        metrics = MetricCollection({"accuracy": MulticlassAccuracy(classes, average="micro")})
        self.train_metrics = metrics.clone(prefix="train/")
        self.val_metrics = metrics.clone(prefix="val/")
        self.robust_metrics = metrics.clone(prefix="val/robust_")
        # A mean leaves out what is not a number, hence `_check_finite`.
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.monitor = "val/robust_accuracy" if defense.robust_validation else "val/accuracy"

    def training_step(self, loaded: LoadedBatch, index: int) -> Tensor | None:
        batch = loaded.batch
        if len(batch.key) < 2:  # the others could not be read
            return None
        generators = [generator(self.seed, "defense", self.current_epoch, key) for key in batch.key]
        step = self.defense.train(self.model, batch.clip, batch.label, generators)
        loss = step.loss.detach()
        self._check_finite(loss.item(), "training")
        self.train_loss.update(loss, len(batch.key))
        self.train_metrics.update(step.logits.detach(), batch.label)
        return step.loss

    def validation_step(self, loaded: LoadedBatch, index: int, dataloader_idx: int = 0) -> None:
        batch = loaded.batch
        if not batch.key:
            return
        if dataloader_idx == 1:
            robust = self.defense.robust_validation
            assert robust is not None
            attacked = robust.attack(self.model, batch.clip, batch.label, robust.threat)
            self.robust_metrics.update(self.model(attacked), batch.label)
        else:
            logits = self.model(batch.clip)
            loss = F.cross_entropy(logits, batch.label)
            self._check_finite(loss.item(), "validation")
            self.val_loss.update(loss, len(batch.key))
            self.val_metrics.update(logits, batch.label)

    def on_train_epoch_end(self) -> None:
        if not self.train_loss.update_called:
            raise UserError(
                f"epoch {self.current_epoch + 1}: no batch with two readable clips to train on"
            )
        self._log("train", self.train_metrics, self.train_loss)

    def on_validation_epoch_end(self) -> None:
        self._log("val", self.val_metrics, self.val_loss)
        if self.defense.robust_validation:
            self._log_accuracy(self.robust_metrics)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        recipe, model = self.recipe, self.model
        head = [*model.fusion.parameters(), *model.head.parameters()]
        parts = [(model.audio, recipe.lr_audio), (model.visual, recipe.lr_visual)]
        groups: list[dict[str, Any]] = [
            {"params": list(net.parameters()), "lr": lr} for net, lr in parts if net
        ]
        groups += [{"params": head, "lr": recipe.lr_head}, *self.defense.param_groups(model)]
        sgd = torch.optim.SGD(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.MultiStepLR(sgd, list(recipe.milestones))
        return {"optimizer": sgd, "lr_scheduler": schedule}

    def _check_finite(self, loss: float, which: str) -> None:
        """Stops a training that diverged.

        Raises:
            UserError: the loss is not finite.
        """
        if not math.isfinite(loss):
            raise UserError(
                f"the training diverged: the {which} loss is {loss} in epoch "
                f"{self.current_epoch + 1}; lower training.lr_audio, training.lr_visual or "
                "training.lr_head"
            )

    def _log(self, split: str, metrics: MetricCollection, loss: MeanMetric) -> None:
        self._log_accuracy(metrics)
        self.log(f"{split}/loss", loss.compute(), prog_bar=True, sync_dist=True)
        loss.reset()

    def _log_accuracy(self, metrics: MetricCollection) -> None:
        values = {name: 100 * value for name, value in metrics.compute().items()}
        # The metrics are of all devices already; sync_dist only tells Lightning so.
        self.log_dict(values, prog_bar=True, sync_dist=True)
        metrics.reset()
