"""Where a model's encoders put clips, clean and attacked: and how t-SNE draws that."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.evaluation.evaluate import Known, evaluate
from avrobust.evaluation.summaries import summarize, worst_case
from avrobust.models.classifier import AVClassifier
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Batch, Clip, ConditionInfo, Modality

Array = NDArray[np.float32]
Stage = Literal[
    "encoded", "restored"
]  # as they leave the encoders; as a defense's denoisers hand them to the fusion
STAGES: tuple[Stage, Stage] = ("encoded", "restored")
PERPLEXITY = 30.0  # of t-SNE, where there are clips enough


class Embedded(NamedTuple):
    """The embeddings of N clips, clean and under each condition."""

    keys: tuple[str, ...]
    label: NDArray[np.int64]  # (N,)
    values: dict[tuple[Stage, Modality, str], Array]  # (N, D); what the model has not is left out
    accuracy: dict[str, float]  # of the same clips, in percent, by condition


def embedded(
    model: AVClassifier,
    batches: Iterable[Batch],
    attack: Attack,
    suite: Mapping[str, Threat],
    *,
    objectives: Sequence[Objective] = (cross_entropy,),
    seed: int = 0,
    device: torch.device | str = "cpu",
    known: Known | None = None,
) -> Embedded:
    """The embeddings of clips as `evaluate` attacks them; the arguments are its own.

    Of several objectives it is, clip by clip, the attack that hurt most, as in the row of a
    defended model.
    """
    found, kept = [], []
    for objective in objectives:
        keeper = _Keeper(model)
        records = evaluate(
            model,
            batches,
            attack,
            suite,
            objective=objective,
            seed=seed,
            device=device,
            watch=keeper.keep,
            known=known,
        )
        found.append(records)
        kept.append(keeper.found)
    records = worst_case(found)
    rows: dict[tuple[Modality, str], list[Tensor]] = {}
    for record, same in zip(records, zip(*found, strict=True), strict=True):
        for modality, row in kept[same.index(record)][record.key, record.condition].items():
            rows.setdefault((modality, record.condition), []).append(row)
    clean = [record for record in records if record.condition == "clean"]
    return Embedded(
        keys=tuple(record.key for record in clean),
        label=np.array([record.label for record in clean]),
        values=_staged(model, {place: torch.stack(values) for place, values in rows.items()}),
        accuracy=summarize(records).accuracy,
    )


@torch.no_grad()
def _staged(
    model: AVClassifier, encoded: Mapping[tuple[Modality, str], Tensor]
) -> dict[tuple[Stage, Modality, str], Array]:
    """What the encoders gave, and what the model's restorers make of it: (N, D) each."""
    stages: dict[tuple[Stage, Modality, str], Array] = {}
    for (modality, condition), values in encoded.items():
        stages["encoded", modality, condition] = values.cpu().numpy()
        if modality in model.restorers:
            same = condition != "clean" and modality not in condition  # the solver takes its time
            clean = stages.get(("restored", modality, "clean")) if same else None
            restored = model.restore(modality, values).cpu().numpy() if clean is None else clean
            stages["restored", modality, condition] = restored
    return stages


@final
class _Keeper:
    """A watcher of `evaluate` that embeds what it is shown."""

    def __init__(self, model: AVClassifier) -> None:
        self.model = model
        self.found: dict[tuple[str, str], dict[Modality, Tensor]] = {}  # (D,) each

    @torch.no_grad()
    def keep(self, batch: Batch, condition: ConditionInfo, clip: Clip) -> None:
        """Takes a batch's embeddings, of the modalities that the model uses."""
        features = self.model.encode(clip).pooled()
        used = {
            m: values.float()
            for m, values in zip(MODALITIES, features, strict=True)
            if values.shape[1]
        }
        for i, key in enumerate(batch.key):
            self.found[key, condition.name] = {
                modality: values[i] for modality, values in used.items()
            }


def tsne(groups: Sequence[Array], seed: int) -> list[Array] | None:
    """Coordinates by t-SNE of several groups together, so that they share their axes. van der Maaten & Hinton 2008.

    Args:
        groups: (N, D) each, with one D.
        seed: with it the same groups get the same coordinates.

    Returns:
        (N, 2) each; None where there are too few clips to have neighbors.
    """
    from sklearn.manifold import TSNE

    together = np.concatenate(groups)
    if len(together) < 6 or together.shape[1] < 2:
        return None
    perplexity = min(PERPLEXITY, (len(together) - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(together)
    return np.split(found, np.cumsum([len(group) for group in groups])[:-1])
