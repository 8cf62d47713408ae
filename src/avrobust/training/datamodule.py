"""The LightningDataModule of a prepared data set."""

from typing import Any, final

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from avrobust.data.clips import Clips
from avrobust.data.loaders import EpochSampler, make_loader
from avrobust.data.prepared import Prepared


@final
class LitData(pl.LightningDataModule):
    """The loaders of a prepared data set.

    `batch_size` is that of the whole step, divided among the devices.
    """

    def __init__(
        self, data: Prepared, *, batch_size: int, eval_batch_size: int, workers: int, seed: int
    ) -> None:
        super().__init__()
        self.data, self.batch_size, self.eval_batch_size = data, batch_size, eval_batch_size
        self.workers, self.seed = workers, seed

    def train_dataloader(self) -> DataLoader[Any]:
        clips = self.data.clips("train", training=True, seed=self.seed)
        world = self.trainer.world_size if self.trainer else 1
        return self._loader(clips, max(2, self.batch_size // world), shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.data.clips("val"), self.eval_batch_size, shuffle=False)

    def _loader(self, clips: Clips, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
        rank, world = (
            (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        )
        sampler = EpochSampler(len(clips), shuffle=shuffle, seed=self.seed, rank=rank, world=world)
        # BatchNorm cannot learn from one clip, so an epoch does not end on one.
        return make_loader(
            clips,
            sampler,
            batch_size,
            self.workers,
            drop_last=shuffle and len(sampler) % batch_size == 1,
        )
