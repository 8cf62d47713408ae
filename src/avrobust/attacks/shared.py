"""What the conditions of one batch have in common, computed once."""

from typing import Any, final

import torch
from torch import Tensor

from avrobust.attacks.problem import Answer, Objective, differentiate
from avrobust.models.classifier import AVClassifier, HeldModel, frozen
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Clip, Features, Modality


@final
class Shared:
    """Each sound and each picture of a batch is embedded once, and the loss differentiated at the clean clips once.

    So an attack on one modality costs the other's encoder nothing, and one-step attacks under
    several conditions and at several eps cost one gradient. The numbers are those of the plain
    path.

    Args:
        model: in eval mode, its weights not changing meanwhile.
        clip: the clean clips.
        label: theirs, (B,) int64.
    """

    def __init__(self, model: AVClassifier, clip: Clip, label: Tensor) -> None:
        self._model, self._clip, self._label = model, clip, label
        self._seen: dict[Modality, list[tuple[Tensor, Tensor, Tensor]]] = {
            m: [] for m in MODALITIES
        }
        self._first: dict[Objective, Answer] = {}

    @torch.no_grad()
    def logits(self, x: Clip) -> Tensor:
        """The model's answer, (B, C)."""
        return self._model.fuse(
            Features(*(self._embedded(m, part)[1] for m, part in zip(MODALITIES, x, strict=True)))
        )

    @torch.no_grad()
    def hold(self, *modalities: Modality) -> HeldModel:
        """The model with the clean embeddings of these modalities."""
        return HeldModel(
            self._model, {m: self._embedded(m, getattr(self._clip, m)) for m in modalities}
        )

    def first(self, threat: Threat, objective: Objective) -> Answer:
        """What one pass says about the clean clips, with the gradient for a threat; call it before `logits`.

        Args:
            threat: which modalities the gradient is wanted for, and in which units.
            objective: what the attacker maximizes.
        """
        if objective not in self._first:
            with frozen(self._model), torch.enable_grad():
                view = _Noting(self._model, self)
                self._first[objective] = differentiate(
                    view, objective, self._clip, self._label, (True, True)
                )
        loss, logits, gradient = self._first[objective]
        pairs = zip(gradient, threat.budgets, strict=True)
        return Answer(
            loss,
            logits,
            Clip(*(torch.zeros_like(g) if b is None else g * b.unit_like(g) for g, b in pairs)),
        )

    def forget(self) -> None:
        """Drops what is known of other clips than the clean ones."""
        for modality, clean in zip(MODALITIES, self._clip, strict=True):
            self._seen[modality] = [
                known for known in self._seen[modality] if torch.equal(known[0], clean)
            ][:1]

    def note(self, modality: Modality, x: Tensor, embedding: Tensor, restored: Tensor) -> None:
        """Keeps what was computed elsewhere for inputs `x`."""
        self._seen[modality].append((x.detach(), embedding.detach(), restored.detach()))

    def _embedded(self, modality: Modality, x: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding and the restored embedding of inputs that may have been seen before."""
        for seen, embedding, restored in self._seen[modality]:
            if seen is x or torch.equal(seen, x):
                return embedding, restored
        encode = self._model.encode_audio if modality == "audio" else self._model.encode_visual
        embedding = encode(x)
        restored = self._model.restore(modality, embedding)
        self.note(modality, x, embedding, restored)
        return embedding, restored


@final
class _Noting:
    """The model during the pass at the clean clips, whose embeddings it notes."""

    def __init__(self, model: AVClassifier, shared: Shared) -> None:
        self._model, self._shared = model, shared
        self._last: tuple[Clip, Features] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, clip: Clip) -> Features:
        self._last = (clip, self._model.encode(clip))
        return self._last[1]

    def classify(self, features: Features) -> Tensor:
        restored = Features(
            *(self._model.restore(m, e) for m, e in zip(MODALITIES, features, strict=True))
        )
        if self._last and self._last[1] is features:
            for modality, *kept in zip(MODALITIES, self._last[0], features, restored, strict=True):
                self._shared.note(modality, *kept)
        return self._model.fuse(restored)

    def __call__(self, clip: Clip) -> Tensor:
        return self.classify(self.encode(clip))
