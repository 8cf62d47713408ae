"""Keeps the few clips of a run as they were attacked, to look at and listen to.

No number depends on them. For the file see `avrobust.experiments.kept_clips`.
"""

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from avrobust.data.sampling import center_index
from avrobust.evaluation.conditions import Condition
from avrobust.experiments.kept_clips import CLIPS_FILE
from avrobust.experiments.runs import Run
from avrobust.types import Batch, Clip, ConditionInfo, Record
from avrobust.utils.arrays import Array
from avrobust.utils.files import atomic_write


class Example(NamedTuple):
    """One clip under one condition."""

    audio: Array  # (S,)
    frame: Array  # (3, H, W), the middle one


@final
class Examples:
    """Keeps some clips under each condition; `evaluate` calls `keep` as its observer.

    The keys alone decide which clips, so that every run on the same split keeps the same ones.

    Args:
        keys: of all clips.
        count: how many are kept.
    """

    def __init__(self, keys: Iterable[str], count: int) -> None:
        self.keys = heapq.nsmallest(
            count, keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest()
        )
        self.clips: dict[tuple[str, str], Example] = {}  # by key and condition

    def keep(self, batch: Batch, condition: ConditionInfo, clip: Clip) -> None:
        """Takes the chosen clips out of a batch."""
        middle = center_index(clip.visual.shape[1]) if batch.key else 0
        for i, key in enumerate(batch.key):
            if key in self.keys:
                audio = clip.audio[i, 0].cpu().numpy().copy()
                frame = clip.visual[i, middle].cpu().numpy().copy()
                self.clips[key, condition.name] = Example(audio, frame)

    def write(self, run: Run, conditions: Sequence[Condition]) -> None:
        """Writes the run's examples.npz; nothing if no clip was kept.

        Args:
            run: whose folder.
            conditions: of the evaluation, clean first.
        """
        clean, *changing = conditions
        keys = [key for key in self.keys if (key, clean.name) in self.clips]
        if not keys or not changing:
            return
        clips = [self.clips[key, clean.name] for key in keys]
        audio = np.stack([example.audio for example in clips])  # (K, S)
        frames = np.stack([example.frame for example in clips])  # (K, 3, H, W)
        audio_changes, frame_changes = [], []
        for condition in changing:
            changed = [self.clips[key, condition.name] for key in keys]
            audio_changes.append(np.stack([example.audio for example in changed]) - audio)
            frame_changes.append(np.stack([example.frame for example in changed]) - frames)
        path = run.folder / CLIPS_FILE
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                keys=np.array(keys),
                conditions=np.array([condition.name for condition in changing]),
                audio=(audio * 32767).round().astype(np.int16),
                frames=(frames * 255).round().astype(np.uint8),
                **_coded("audio", np.stack(audio_changes)),
                **_coded("visual", np.stack(frame_changes)),
            )


def worst_examples(
    kept: Sequence[Examples], evaluations: Sequence[list[Record]], records: Sequence[Record]
) -> Examples:
    """The clips that the worst records are about, of one model's evaluations.

    Each evaluation is under an objective of its own.

    Args:
        kept: the clips of each evaluation.
        evaluations: the records of each evaluation, in the same order.
        records: the worst of them, clip by clip and condition by condition.
    """
    chosen = Examples((), 0)
    chosen.keys = kept[0].keys
    for place, record in enumerate(records):
        name = (record.key, record.condition)
        if name not in kept[0].clips:
            continue
        for examples, evaluation in zip(kept, evaluations, strict=True):
            if evaluation[place] == record:
                chosen.clips[name] = examples.clips[name]
                break
    return chosen


def _coded(name: str, change: Array) -> dict[str, Any]:
    """A change (C, K, ...) as eight bits of its own range.

    It may be far below one level of a picture.
    """
    axes = tuple(range(2, change.ndim))
    scale = np.abs(change).max(axis=axes, keepdims=True) / 127
    coded = (change / np.where(scale > 0, scale, 1)).round().astype(np.int8)
    scales = scale.reshape(change.shape[:2]).astype(np.float32)
    return {f"{name}_change": coded, f"{name}_scale": scales}
