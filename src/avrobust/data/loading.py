"""Clips in batches, and the order in which they come. Knows nothing of Lightning, which imports for seconds."""

import os
import signal
from collections.abc import Iterator
from typing import Any, final

import torch
from torch.utils.data import DataLoader, Sampler

from avrobust.data.clips import Clips, collate
from avrobust.utils.randomness import generator


@final
class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, position), shuffled by (seed, epoch) alone, so that a resumed run goes on in the same order.

    Under DDP each rank takes every world-th position, in training as many as the others (a rank
    that runs dry would hang the rest); Lightning tells the epoch through `set_epoch`.
    """

    def __init__(
        self, size: int, *, shuffle: bool, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.size, self.shuffle, self.seed = size, shuffle, seed
        self.rank, self.world, self.epoch = rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = list(range(self.size))
        if self.shuffle:
            order = torch.randperm(
                self.size, generator=generator(self.seed, "shuffle", self.epoch)
            ).tolist()
        return iter([(self.epoch, order[i]) for i in self._mine()])

    def __len__(self) -> int:
        return len(self._mine())

    def _mine(self) -> range:
        end = self.size - self.size % self.world if self.shuffle else self.size
        return range(self.rank, end, self.world)


def loader(
    clips: Clips, sampler: EpochSampler, batch_size: int, workers: int, *, drop_last: bool = False
) -> DataLoader[Any]:
    """A loader of LoadedBatch; memory is pinned where there is a GPU to copy to."""
    return DataLoader(
        clips,  # indexed by (epoch, position)
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        drop_last=drop_last,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        worker_init_fn=_leave_signals_to_the_job,
    )


def _leave_signals_to_the_job(worker: int) -> None:
    """Slurm signals every process of a job; a worker would end, or queue the job again as the main process does."""
    if "SUBMITIT_EXECUTOR" in os.environ:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
