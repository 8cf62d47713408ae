"""What the conditions of one batch have in common, computed once."""

from typing import final

import torch
from torch import Tensor

from avrobust.attacks.cached_model import CachedModel, Embedding
from avrobust.attacks.gradients import LossGradient, Objective, in_budget_units, value_and_grad
from avrobust.models.classifier import AVClassifier, frozen
from avrobust.threats import Threat
from avrobust.types import MODALITIES, Clip, Features, Modality


@final
class EmbeddingCache:
    """The embeddings and the clean gradients of one batch; each is computed when first needed.

    Two conditions with the same sound share its embedding, so an attack on one modality costs the
    other modality's encoder nothing. One-step attacks under several threats share one gradient. The
    numbers are those of an evaluation without a cache.

    Args:
        model: in eval mode; its weights must not change while the cache is used.
        clip: the clean clips.
        label: true classes, (B,) int64.
        objective: a loss whose gradient at the clean clips will be needed. One pass then gives this
            gradient and the clean embeddings.
    """

    def __init__(
        self,
        model: AVClassifier,
        clip: Clip,
        label: Tensor,
        objective: Objective | None = None,
    ) -> None:
        self._model, self._clip, self._label = model, clip, label
        self._objective = objective
        self._clean: dict[Modality, Embedding] = {}
        self._adversarial: dict[Modality, list[tuple[Tensor, Embedding]]] = {}
        self._gradients: dict[Objective, LossGradient] = {}

    @torch.no_grad()
    def logits(self, clip: Clip) -> Tensor:
        """The model's logits, (B, C), of the clean clips or of changed ones."""
        audio = self.embedding("audio", clip.audio)
        visual = self.embedding("visual", clip.visual)
        return self._model.fuse(Features(audio.restored, visual.restored))

    def embedding(self, modality: Modality, x: Tensor) -> Embedding:
        """The embedding of inputs of one modality, which are recognized by their values."""
        if torch.equal(x, getattr(self._clip, modality)):
            return self.clean(modality)
        known = self._adversarial.setdefault(modality, [])
        for seen, embedding in known:
            if torch.equal(x, seen):
                return embedding
        embedding = self._embed(modality, x)
        known.append((x.detach(), embedding))
        return embedding

    def clean(self, modality: Modality) -> Embedding:
        """The embedding of one modality of the clean clips."""
        if modality not in self._clean and self._objective is not None:
            self._differentiate(self._objective)
        if modality not in self._clean:
            self._clean[modality] = self._embed(modality, getattr(self._clip, modality))
        return self._clean[modality]

    def clean_gradient(self, objective: Objective, threat: Threat) -> LossGradient:
        """Loss, logits and gradient at the clean clips.

        Args:
            objective: what the attacker maximizes.
            threat: which modalities are attacked, and the units of the gradient.

        Raises:
            ValueError: the model's output cannot be differentiated.
        """
        if objective not in self._gradients:
            self._differentiate(objective)
        result = self._gradients[objective]
        return result._replace(gradient=in_budget_units(result.gradient, threat))

    def model(self, *untouched: Modality) -> CachedModel:
        """The model with the clean embeddings of the modalities that an attack leaves alone."""
        return CachedModel(self._model, {modality: self.clean(modality) for modality in untouched})

    def drop_adversarial(self) -> None:
        """Forgets the embeddings of clips other than the clean ones."""
        self._adversarial.clear()

    @torch.no_grad()
    def _embed(self, modality: Modality, x: Tensor) -> Embedding:
        plain = self._model.encode_modality(modality, x)
        return Embedding(plain, self._model.restore(modality, plain))

    def _differentiate(self, objective: Objective) -> None:
        """One pass at the clean clips, whose gradient and embeddings are kept."""
        recorder = CachedModel(self._model, keep_embeddings=True)
        with frozen(self._model), torch.enable_grad():
            self._gradients[objective] = value_and_grad(
                recorder, objective, self._clip, self._label, MODALITIES
            )
        if recorder.encoded and recorder.classified:
            self._keep_clean(*recorder.encoded, *recorder.classified)

    def _keep_clean(
        self, clip: Clip, encoded: Features, classified: Features, restored: Features
    ) -> None:
        """Keeps embeddings of the clean clips: an objective may have embedded others as well."""
        for modality in MODALITIES:
            plain = getattr(encoded, modality)
            of_clean_clips = torch.equal(getattr(clip, modality), getattr(self._clip, modality))
            if of_clean_clips and torch.equal(plain, getattr(classified, modality)):
                embedding = Embedding(plain, getattr(restored, modality))
                self._clean.setdefault(modality, embedding)
