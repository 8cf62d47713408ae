"""The embeddings that a model's encoders give clips, clean and attacked, and their t-SNE."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avrobust.analyses.embeddings.outcome import Stage
from avrobust.attacks.base import Attack
from avrobust.attacks.gradients import Objective, cross_entropy
from avrobust.evaluation.evaluate import EvaluationCache, evaluate
from avrobust.evaluation.nested import nested
from avrobust.evaluation.summaries import by_condition, robust_accuracy, worst_case
from avrobust.models.classifier import AVClassifier
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Batch, Clip, ConditionInfo, Modality, Record
from avrobust.utils.arrays import Array

PERPLEXITY = 30.0  # of t-SNE, where there are enough clips


class ClipEmbeddings(NamedTuple):
    """The embeddings of N clips, clean and under each condition."""

    keys: tuple[str, ...]
    label: NDArray[np.int64]  # (N,)
    conditions: tuple[ConditionInfo, ...]  # clean first
    # By stage, modality and the condition's name (N, D); without those that the model lacks.
    values: dict[tuple[Stage, Modality, str], Array]
    accuracy: dict[str, float]  # of the same clips, in percent by condition


def embed_clips(
    model: AVClassifier,
    batches: Iterable[Batch],
    attack: Attack,
    suite: Mapping[str, Threat],
    *,
    objectives: Sequence[Objective] = (cross_entropy,),
    seed: int = 0,
    device: torch.device | str = "cpu",
    cache: EvaluationCache | None = None,
) -> ClipEmbeddings:
    """The embeddings of clips as `evaluate` attacks them.

    With several objectives, the embeddings of each clip are those of the attack that harmed the
    model most, as in the row of a defended model.

    Args:
        model: in any mode, which it is left in.
        batches: clips with labels and keys; gone through once for each objective.
        attack: how the clips are perturbed.
        suite: the threats by the name of their condition.
        objectives: what the attack maximizes, one after the other.
        seed: of the attack's random draws.
        device: where the model is.
        cache: as `evaluate` takes it.
    """
    evaluations: list[list[Record]] = []
    embedders: list[_Embedder] = []
    for objective in objectives:
        embedder = _Embedder(model)
        records = evaluate(
            model,
            batches,
            attack,
            suite,
            objective=objective,
            seed=seed,
            device=device,
            observe=embedder.observe,
            cache=cache,
        )
        evaluations.append(records)
        embedders.append(embedder)
    worst = worst_case(evaluations)
    conditions = embedders[0].conditions
    encoded: dict[tuple[Modality, str], list[Tensor]] = {}
    for place, record in enumerate(worst):
        # The first of the evaluations that has this record.
        number = next(i for i, records in enumerate(evaluations) if records[place] == record)
        for modality, row in embedders[number].rows[record.key, record.condition].items():
            encoded.setdefault((modality, record.condition), []).append(row)
    clean = by_condition(worst)[next(iter(conditions))]
    stacked = {place: torch.stack(rows) for place, rows in encoded.items()}
    return ClipEmbeddings(
        keys=tuple(record.key for record in clean),
        label=np.array([record.label for record in clean]),
        conditions=tuple(conditions.values()),
        values=_with_stages(model, stacked, conditions),
        accuracy=robust_accuracy(worst, nested(suite) if attack.bounded else {}),
    )


@torch.no_grad()
def _with_stages(
    model: AVClassifier,
    encoded: Mapping[tuple[Modality, str], Tensor],
    conditions: Mapping[str, ConditionInfo],
) -> dict[tuple[Stage, Modality, str], Array]:
    """The embeddings of the encoders, and what the model's restorers make of them: (N, D) each."""
    values: dict[tuple[Stage, Modality, str], Array] = {}
    unchanged: dict[Modality, Array] = {}  # restored clean embeddings
    for (modality, name), embeddings in encoded.items():
        values["encoded", modality, name] = embeddings.cpu().numpy()
        if modality not in model.restorers:
            continue
        # Restoring takes a while, and where the modality is unchanged the outcome is known.
        changed = modality in conditions[name].modalities
        if changed or modality not in unchanged:
            restored = model.restore(modality, embeddings).cpu().numpy()
        else:
            restored = unchanged[modality]
        if not changed:
            unchanged[modality] = restored
        values["restored", modality, name] = restored
    return values


@final
class _Embedder:
    """Embeds what `evaluate` shows its observer."""

    def __init__(self, model: AVClassifier) -> None:
        self.model = model
        self.conditions: dict[str, ConditionInfo] = {}  # by name, in the order of evaluation
        # By key and condition the embeddings (D,) of the modalities that the model uses.
        self.rows: dict[tuple[str, str], dict[Modality, Tensor]] = {}

    @torch.no_grad()
    def observe(self, batch: Batch, condition: ConditionInfo, clip: Clip) -> None:
        """Embeds a batch."""
        self.conditions[condition.name] = condition
        features = self.model.encode(clip).pooled()
        for modality in MODALITIES:
            embeddings: Tensor = getattr(features, modality)
            if not embeddings.shape[1]:
                continue
            for key, row in zip(batch.key, embeddings.float(), strict=True):
                self.rows.setdefault((key, condition.name), {})[modality] = row


def tsne(groups: Sequence[Array], seed: int) -> list[Array] | None:
    """Coordinates of several groups that share their axes, by t-SNE. van der Maaten & Hinton 2008.

    Args:
        groups: (N, D) each, with one D.
        seed: the same groups and seed give the same coordinates.

    Returns:
        (N, 2) each; None where there are too few clips to have neighbors.
    """
    from sklearn.manifold import TSNE

    together = np.concatenate(groups)
    if len(together) < 6 or together.shape[1] < 2:
        return None
    perplexity = min(PERPLEXITY, (len(together) - 1) / 3)
    method = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    ends = np.cumsum([len(group) for group in groups])[:-1]
    return np.split(method.fit_transform(together), ends)
