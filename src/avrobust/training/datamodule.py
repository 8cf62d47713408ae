"""The LightningDataModule of a prepared data set."""

from typing import Any, final

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from avrobust.data.clips import Clips
from avrobust.data.loaders import EpochSampler, make_loader
from avrobust.data.prepared import Prepared
from avrobust.errors import UserError


@final
class LitData(pl.LightningDataModule):
    """The loaders of a prepared data set.

    Args:
        data: the data set.
        batch_size: of the whole training step, divided among the devices.
        eval_batch_size: of the validation clips.
        workers: processes that load clips beside the main one.
        seed: of the order and of the augmentation.
        robust_clips: number of validation clips in a second loader, which are to be attacked. Its
            batches are of `batch_size`, so that `eval_batch_size` changes no number.
    """

    def __init__(
        self,
        data: Prepared,
        *,
        batch_size: int,
        eval_batch_size: int,
        workers: int,
        seed: int,
        robust_clips: int = 0,
    ) -> None:
        super().__init__()
        self.data, self.batch_size, self.eval_batch_size = data, batch_size, eval_batch_size
        self.workers, self.seed, self.robust_clips = workers, seed, robust_clips

    def train_dataloader(self) -> DataLoader[Any]:
        clips = self.data.clips("train", training=True, seed=self.seed)
        return self._loader(clips, self._batch_size_of_one(), shuffle=True)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        clips = self.data.clips("val")
        loaders = [self._loader(clips, self.eval_batch_size, shuffle=False)]
        if self.robust_clips:
            part = clips.subset(self.robust_clips)
            loaders.append(self._loader(part, self._batch_size_of_one(), shuffle=False))
        return loaders

    def _batch_size_of_one(self) -> int:
        """The batch size of one device.

        Raises:
            UserError: the devices cannot share a batch equally.
        """
        world = self.trainer.world_size if self.trainer else 1
        if self.batch_size % world or self.batch_size < 2 * world:
            raise UserError(
                f"training.batch_size={self.batch_size}: must be a multiple of the {world} "
                "devices, and at least two clips for each"
            )
        return self.batch_size // world

    def _loader(self, clips: Clips, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
        rank, world = (
            (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        )
        sampler = EpochSampler(len(clips), shuffle=shuffle, seed=self.seed, rank=rank, world=world)
        if self.trainer:
            # Lightning sets the epoch too, but only after the workers of a resumed training have
            # begun to read in the order of the sampler.
            sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.ready)
        if shuffle and len(sampler) < 2:
            raise UserError(
                f"{len(clips)} training clips for {world} devices: each device needs at least 2"
            )
        # BatchNorm cannot learn from one clip, so an epoch does not end on one.
        return make_loader(
            clips,
            sampler,
            batch_size,
            self.workers,
            drop_last=shuffle and len(sampler) % batch_size == 1,
        )
