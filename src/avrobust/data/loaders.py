"""Loads the clips of a prepared data set in batches, in an order that a resumed run repeats."""

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
    """Yields the index (epoch, position) of every clip.

    The order depends on the seed and the epoch alone, so a resumed run goes on in the same order.
    Under distributed training (DDP) each rank takes every `world`-th position. When shuffling,
    which is for training, all ranks take equally many: a rank that runs out of batches would make
    the others wait forever. Lightning calls `set_epoch` before each epoch.

    Args:
        size: Number of clips.
        shuffle: Whether to shuffle, with another order for each epoch.
        seed: Seed of the order.
        rank: Index of this process.
        world: Number of processes.
    """

    def __init__(
        self, size: int, *, shuffle: bool, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.size = size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, counted from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = list(range(self.size))
        if self.shuffle:
            epoch_generator = generator(self.seed, "shuffle", self.epoch)
            order = torch.randperm(self.size, generator=epoch_generator).tolist()
        return iter([(self.epoch, order[i]) for i in self._own_positions()])

    def __len__(self) -> int:
        return len(self._own_positions())

    def _own_positions(self) -> range:
        """The positions in the shuffled order that belong to this rank."""
        end = self.size - self.size % self.world if self.shuffle else self.size
        return range(self.rank, end, self.world)


def make_loader(
    clips: Clips, sampler: EpochSampler, batch_size: int, workers: int, *, drop_last: bool = False
) -> DataLoader[Any]:
    """Makes a DataLoader that yields a `LoadedBatch` for each batch.

    Memory is pinned where there is a GPU.

    Args:
        clips: The clips of one split.
        sampler: The order of the clips.
        batch_size: Clips in a batch.
        workers: Processes that read clips; 0 reads them in this process.
        drop_last: Whether to drop the last batch.
    """
    return DataLoader(
        clips,  # indexed by (epoch, position)
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        drop_last=drop_last,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        worker_init_fn=_ignore_signals,
    )


def _ignore_signals(worker: int) -> None:
    """Leaves Ctrl-C and Slurm's signals to the main process, which then ends its workers.

    Slurm signals every process of a job. A worker inherits the handlers of the main process, and
    would end or queue the job a second time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "SUBMITIT_EXECUTOR" in os.environ:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
