"""The few clips that a run keeps as they were attacked, for people to look at and listen to; no number depends on them.

examples.npz  keys (K), conditions (C); frames (K,3,H,W) uint8, the middle frame; audio (K,S) int16;
    visual_change (C,K,3,H,W) and audio_change (C,K,S) int8, to be multiplied by visual_scale and
    audio_scale (C,K)
"""

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from avrobust.data.sampling import center_index
from avrobust.experiments.runs import Run
from avrobust.types import CONDITIONS, Batch, Clip, Condition, Record
from avrobust.utils.files import atomic_write

Array = NDArray[np.float32]


@final
class Examples:
    """Keeps some clips under each condition. `keep` is a watcher of `evaluate`.

    Which ones is drawn by their keys alone, so that every run on the same split keeps the same.
    """

    def __init__(self, keys: Iterable[str], count: int) -> None:
        self.keys = heapq.nsmallest(
            count, keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest()
        )
        self.clips: dict[
            tuple[str, Condition], tuple[Array, Array]
        ] = {}  # sound (S,) and frame (3, H, W)

    def keep(self, batch: Batch, condition: Condition, clip: Clip) -> None:
        """Takes the chosen clips out of a batch."""
        for i, key in enumerate(batch.key):
            if key in self.keys:
                frame = clip.visual[i, center_index(clip.visual.shape[1])]
                self.clips[key, condition] = (
                    clip.audio[i, 0].cpu().numpy().copy(),
                    frame.cpu().numpy().copy(),
                )

    def write(self, run: Run) -> None:
        """Writes the run's examples.npz; nothing if no clip was kept."""
        keys = [key for key in self.keys if (key, "clean") in self.clips]
        conditions = [c for c in CONDITIONS[1:] if keys and (keys[0], c) in self.clips]
        if not conditions:
            return
        clean = [np.stack(x) for x in zip(*(self.clips[key, "clean"] for key in keys), strict=True)]
        changed = [zip(*(self.clips[key, c] for key in keys), strict=True) for c in conditions]
        audio, visual = (
            np.stack(x) - c for x, c in zip(zip(*changed, strict=True), clean, strict=True)
        )
        with atomic_write(run.folder / "examples.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                keys=np.array(keys),
                conditions=np.array(conditions),
                audio=(clean[0] * 32767).round().astype(np.int16),
                frames=(clean[1] * 255).round().astype(np.uint8),
                **_coded("audio", audio),
                **_coded("visual", visual),
            )


def worst_of(
    kept: Sequence[Examples], found: Sequence[list[Record]], records: list[Record]
) -> Examples:
    """Of one model's evaluations under several objectives, the clips that the worst records are about."""
    chosen = Examples((), 0)
    chosen.keys = kept[0].keys
    for record, same in zip(records, zip(*found, strict=True), strict=True):
        name = (record.key, record.condition)
        if name in kept[0].clips:
            chosen.clips[name] = kept[same.index(record)].clips[name]
    return chosen


def _coded(name: str, change: Array) -> dict[str, Any]:
    """A change as eight bits of its own range: it may be far below one level of a picture."""
    scale = np.abs(change).max(axis=tuple(range(2, change.ndim)), keepdims=True) / 127
    coded = (change / np.where(scale > 0, scale, 1)).round().astype(np.int8)
    return {
        f"{name}_change": coded,
        f"{name}_scale": scale.reshape(change.shape[:2]).astype(np.float32),
    }
