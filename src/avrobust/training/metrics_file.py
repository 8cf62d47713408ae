"""metrics.csv: one row an epoch, whole after every epoch and after every resume."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import final

from avrobust.utils.files import atomic_write

COLUMNS = ("epoch", "train/loss", "train/accuracy", "val/loss", "val/accuracy")
ROBUST = "val/robust_accuracy"  # a further column of trainings that measure it


@final
class MetricsFile:
    """The table of a training's epochs. The checkpoint holds it too: a resumed run goes on with it.

    Lightning's own CSVLogger starts an empty file on resume.

    Attributes:
        rows: the cells of each finished epoch.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []

    def add(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Adds the row of an epoch and writes the file.

        Args:
            epoch: counted from 0.
            metrics: what was logged in the epoch, by name.
        """
        columns = (*COLUMNS, ROBUST) if ROBUST in metrics else COLUMNS
        row = {name: f"{metrics[name]:.6g}" for name in columns if name in metrics}
        self.rows.append({**row, "epoch": str(epoch)})
        with (
            atomic_write(self.path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(self.rows)
