"""metrics.csv: one row an epoch, whole after every epoch and after every resume."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.logger import Logger

COLUMNS = ("epoch", "train/loss", "train/accuracy", "val/loss", "val/accuracy")
ROBUST = "val/robust_accuracy"  # a further column of trainings that measure it


@final
class MetricsFile(Logger):
    """Keyed by epoch, so that an epoch that is repeated after a kill takes its old row's place.

    Lightning's own CSVLogger starts an empty file on resume.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, Any]] = {}
        if path.is_file():
            with path.open(newline="") as file:
                self.rows = {int(row["epoch"]): dict(row) for row in csv.DictReader(file)}

    @property
    def name(self) -> str | None:
        return None

    @property
    def version(self) -> int | str | None:
        return None

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        epoch = int(metrics["epoch"])
        row = self.rows.setdefault(epoch, {})
        row.update(
            {name: f"{value:.6g}" for name, value in metrics.items() if name in (*COLUMNS, ROBUST)},
            epoch=epoch,
        )
        with self.path.open("w", newline="") as file:
            columns = (*COLUMNS, ROBUST) if ROBUST in row else COLUMNS
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(self.rows[e] for e in sorted(self.rows) if e <= epoch)
