"""Mosaics of four frames, one of which belongs to the sound.

A model that localizes the sounding object in a mosaic must use the sound.
"""

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
    """Batches whose frames are mosaics: the clip's own frames and those of three other classes.

    Sound and label stay as they are. Follows the synthetic scenes of Hu et al. 2020 (NeurIPS, arXiv
    2010.05466), who combine solo videos. The choice of the other clips, and the corner of the own
    frames, depend on the seed and the clip's key alone. The frames keep their size, so a mosaic is
    twice as wide and twice as high.

    Args:
        batches: Batches of clips of `clips`.
        clips: The clips that the other frames are drawn from, without augmentation.
        seed: Seed of the draws.
    """

    def __init__(self, batches: Iterable[Batch], clips: Clips, seed: int) -> None:
        self.batches = batches
        self.clips = clips
        self.seed = seed

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            if batch.key:
                mosaics = []
                for key, own in zip(batch.key, batch.clip.visual, strict=True):
                    mosaics.append(self._mosaic(key, own))
                batch = batch._replace(clip=Clip(batch.clip.audio, torch.stack(mosaics)))
            yield batch

    def _mosaic(self, key: str, own: Tensor) -> Tensor:
        """Puts frames (T, 3, H, W) into a mosaic (T, 3, 2 H, 2 W)."""
        cells = self._frames_of_other_classes(key)
        cells.insert(corner(key, self.seed), own)
        upper = torch.cat(cells[:2], 3)
        lower = torch.cat(cells[2:], 3)
        return torch.cat([upper, lower], 2)

    def _frames_of_other_classes(self, key: str) -> list[Tensor]:
        """Three times (T, 3, H, W). Clips that cannot be read are left out."""
        label = key.partition("/")[0]
        others = [i for i, entry in enumerate(self.clips.entries) if entry.label != label]
        order = torch.randperm(len(others), generator=generator(self.seed, "mosaic", key)).tolist()
        frames: list[Tensor] = []
        for i in order:
            sample = self.clips[0, others[i]]
            if isinstance(sample, Sample):
                frames.append(sample.clip.visual)
            if len(frames) == CELLS - 1:
                break
        if not frames:
            raise ValueError(f"no picture of another class than {label} can be read")
        # With fewer than three readable clips, the frames are repeated.
        return (frames * (CELLS - 1))[: CELLS - 1]


def corner(key: str, seed: int) -> int:
    """Position of the clip's own frames in its mosaic.

    0 is upper left, 1 upper right, 2 lower left, 3 lower right.
    """
    return int(torch.randint(CELLS, (), generator=generator(seed, "corner", key)))


def in_mosaic(box: Box, key: str, seed: int) -> Box:
    """Converts a box of the clip's own frame to the coordinates of its mosaic."""
    down, right = divmod(corner(key, seed), 2)
    return Box((box.x0 + right) / 2, (box.y0 + down) / 2, (box.x1 + right) / 2, (box.y1 + down) / 2)
