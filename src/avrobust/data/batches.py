"""Batches of a prepared data set outside of Lightning.

They hold the clips of a split in its order, or the training clips once.
"""

from collections.abc import Iterator
from typing import final

from avrobust.data.clips import LoadedBatch, Skipped
from avrobust.data.layout import Split
from avrobust.data.loaders import EpochSampler, make_loader
from avrobust.data.prepared import Prepared
from avrobust.types import Batch

KEPT_BYTES = 2**30  # of a split that is kept in memory


@final
class SplitBatches:
    """The batches of one split in order, and afterwards the clips that could not be read.

    A split that fits in memory is read once for all passes over it in one process: conditions,
    objectives, jobs.

    Args:
        data: the data set.
        split: whose clips.
        batch_size: of clips.
        workers: processes that load clips beside the main one.
        count: take so many clips alone, drawn by their names; None for all.
    """

    def __init__(
        self,
        data: Prepared,
        split: Split,
        *,
        batch_size: int,
        workers: int,
        count: int | None = None,
    ) -> None:
        clips = data.clips(split)
        if count is not None:
            clips = clips.subset(count)
        self.keys = [entry.key for entry in clips.entries]
        self.loader = make_loader(
            clips, EpochSampler(len(clips), shuffle=False), batch_size, workers
        )
        self.skipped: list[Skipped] = []
        # The same name means the same batches.
        self.name = (data.fingerprint(), str(data.root), clips.form, split, count, batch_size)
        self.fits = 4 * clips.form.values * len(clips) <= KEPT_BYTES

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for loaded in _kept.get(self.name) or self._read():
            self.skipped += loaded.skipped
            yield loaded.batch

    def _read(self) -> Iterator[LoadedBatch]:
        batches: list[LoadedBatch] = []
        for loaded in self.loader:
            yield loaded
            if self.fits:
                batches.append(loaded)
        _kept.clear()
        if batches:
            _kept[self.name] = batches


_kept: dict[tuple[object, ...], list[LoadedBatch]] = {}  # the split that was read last


@final
class TrainingBatches:
    """The training clips once, in a seeded order, clean or augmented.

    Args:
        data: the data set.
        batch_size: of clips.
        workers: processes that load clips beside the main one.
        seed: of the order and of the augmentation.
        augmented: as a training sees the clips, and not as an evaluation does.
    """

    def __init__(
        self, data: Prepared, *, batch_size: int, workers: int, seed: int, augmented: bool
    ) -> None:
        self.data, self.batch_size, self.workers = data, batch_size, workers
        self.seed, self.augmented = seed, augmented

    def __iter__(self) -> Iterator[Batch]:
        clips = self.data.clips("train", training=self.augmented, seed=self.seed)
        sampler = EpochSampler(len(clips), shuffle=True, seed=self.seed)
        loaded: LoadedBatch
        for loaded in make_loader(clips, sampler, self.batch_size, self.workers):
            yield loaded.batch
