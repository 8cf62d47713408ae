"""Mosaics of four pictures, of which one goes with the sound: who looks at that one has listened."""

from collections.abc import Iterable, Iterator
from typing import final

import torch
from torch import Tensor

from avrobust.data.boxes import Box
from avrobust.data.clips import Clips
from avrobust.types import Batch, Clip, Sample
from avrobust.utils.randomness import generator

CELLS = 4  # two rows of two


@final
class Mosaics:
    """Batches whose clips keep their sound and label and show their own picture among three of other classes.

    As Hu et al. 2020 (NeurIPS, arXiv 2010.05466) make scenes from solo videos. Which pictures, and
    in which corner the own one is, depends on the seed and the clip's key alone. The pictures keep
    their size: frames are twice as large.

    Args:
        batches: of clips of `clips`.
        clips: where the other pictures are drawn from, as evaluation sees them.
        seed: of the draws.
    """

    def __init__(self, batches: Iterable[Batch], clips: Clips, seed: int) -> None:
        self.batches, self.clips, self.seed = batches, clips, seed

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            if batch.key:
                pairs = zip(batch.key, batch.clip.visual, strict=True)
                visual = torch.stack([self._mosaic(key, own) for key, own in pairs])
                batch = batch._replace(clip=Clip(batch.clip.audio, visual))
            yield batch

    def _mosaic(self, key: str, own: Tensor) -> Tensor:
        """(T, 3, H, W) to (T, 3, 2 H, 2 W)."""
        cells = list(self._others(key))
        cells.insert(corner(key, self.seed), own)
        rows = [torch.cat(cells[i : i + 2], 3) for i in (0, 2)]
        return torch.cat(rows, 2)

    def _others(self, key: str) -> Iterator[Tensor]:
        """Three pictures of other classes; one that cannot be read is passed over, and if need be one comes twice."""
        label = key.partition("/")[0]
        others = [i for i, entry in enumerate(self.clips.entries) if entry.label != label]
        order = torch.randperm(len(others), generator=generator(self.seed, "mosaic", key)).tolist()
        read = (self.clips[0, others[i]] for i in order)
        found: list[Tensor] = []
        for sample in read:
            if isinstance(sample, Sample):
                found.append(sample.clip.visual)
            if len(found) == CELLS - 1:
                break
        if not found:
            raise ValueError(f"no picture of another class than {label} can be read")
        return iter((found * (CELLS - 1))[: CELLS - 1])


def corner(key: str, seed: int) -> int:
    """Where a clip's own picture is in its mosaic: 0 and 1 above, 2 and 3 below."""
    return int(torch.randint(CELLS, (), generator=generator(seed, "corner", key)))


def in_mosaic(box: Box, key: str, seed: int) -> Box:
    """A box of the own picture in the mosaic."""
    down, right = divmod(corner(key, seed), 2)
    return Box((box.x0 + right) / 2, (box.y0 + down) / 2, (box.x1 + right) / 2, (box.y1 + down) / 2)
