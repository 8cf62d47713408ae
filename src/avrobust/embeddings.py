"""Where a model's encoders put clips, clean and attacked: and how t-SNE draws that."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from avrobust.attacks.base import Attack, Objective, cross_entropy
from avrobust.attacks.threat import Threat
from avrobust.evaluation import evaluate, summarise, worst
from avrobust.model import AVClassifier
from avrobust.types import MODALITIES, Batch, Clip, Condition, Modality

Array = NDArray[np.float32]
Stage = Literal["encoded", "restored"]  # as they leave the encoders; as a defence's denoisers hand them to the fusion
STAGES: tuple[Stage, Stage] = ("encoded", "restored")
POINTS = 30  # t-SNE's perplexity, where there are clips enough


class Embedded(NamedTuple):
    """The embeddings of N clips, clean and under each condition."""

    keys: tuple[str, ...]
    label: NDArray[np.int64]  # (N,)
    values: dict[tuple[Stage, Modality, Condition], Array]  # (N, D); what the model has not is left out
    accuracy: dict[str, float]  # of the same clips, in percent, by condition


def embedded(
    model: AVClassifier,
    batches: Iterable[Batch],
    attack: Attack,
    suite: Mapping[Condition, Threat],
    *,
    objectives: Sequence[Objective] = (cross_entropy,),
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Embedded:
    """The embeddings of clips as `evaluate` attacks them; the arguments are its own.

    Of several objectives it is, clip by clip, the attack that hurt most, as in the row of a defended model.
    """
    found, kept = [], []
    for objective in objectives:
        keeper = _Keeper(model)
        found.append(
            evaluate(model, batches, attack, suite, objective=objective, seed=seed, device=device, watch=keeper.keep)
        )
        kept.append(keeper.found)
    records = worst(found)
    rows: dict[tuple[Stage, Modality, Condition], list[Array]] = {}
    for record, same in zip(records, zip(*found, strict=True), strict=True):
        for place, row in kept[same.index(record)][record.key, record.condition].items():
            rows.setdefault((*place, record.condition), []).append(row)
    clean = [record for record in records if record.condition == "clean"]
    return Embedded(
        keys=tuple(record.key for record in clean),
        label=np.array([record.label for record in clean]),
        values={place: np.stack(values) for place, values in rows.items()},
        accuracy=summarise(records).accuracy,
    )


@final
class _Keeper:
    """A watcher of `evaluate` that embeds what it is shown."""

    def __init__(self, model: AVClassifier) -> None:
        self.model = model
        self.found: dict[tuple[str, Condition], dict[tuple[Stage, Modality], Array]] = {}  # (D,) each

    @torch.no_grad()
    def keep(self, batch: Batch, condition: Condition, clip: Clip) -> None:
        """Takes a batch's embeddings."""
        stages: dict[tuple[Stage, Modality], Any] = {}
        for modality, encoded in zip(MODALITIES, self.model.encode(clip), strict=True):
            if encoded.shape[1]:
                stages["encoded", modality] = encoded.cpu().numpy()
            if modality in self.model.restorers:
                stages["restored", modality] = self.model.restore(modality, encoded).cpu().numpy()
        for i, key in enumerate(batch.key):
            self.found[key, condition] = {place: values[i] for place, values in stages.items()}


def tsne(groups: Sequence[Array], seed: int) -> list[Array] | None:
    """Coordinates by t-SNE of several groups together, so that they share their axes. van der Maaten & Hinton 2008.

    Args:
        groups: (N, D) each, with one D.
        seed: with it the same groups get the same coordinates.

    Returns:
        (N, 2) each; None where there are too few clips to have neighbours.
    """
    from sklearn.manifold import TSNE

    together = np.concatenate(groups)
    if len(together) < 6 or together.shape[1] < 2:
        return None
    perplexity = min(POINTS, (len(together) - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(together)
    return np.split(found, np.cumsum([len(group) for group in groups])[:-1])
