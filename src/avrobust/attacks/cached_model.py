"""The model as attacks and objectives see it: known embeddings are not computed again."""

from collections.abc import Mapping
from typing import Any, NamedTuple, final

from torch import Tensor

from avrobust.attacks.outputs import check_shape
from avrobust.models.classifier import AVClassifier
from avrobust.models.fusion.base import Fusion
from avrobust.types import Classifier, Clip, Features, Modality


class Embedding(NamedTuple):
    """One modality of a batch, embedded."""

    plain: Tensor  # (B, D), or the map (B, T, D, h, w), as the encoder returns it
    restored: Tensor  # of the same shape, as the fusion gets it

    def take(self, index: Tensor) -> "Embedding":
        """The embeddings of the clips at `index`, (K,) int64."""
        return Embedding(self.plain[index], self.restored[index])


@final
class CachedModel:
    """A model in which the embedding of a modality that no attack touches is computed once.

    It also records its last pass, so that a caller who computed a loss with it has the logits too.
    Any callable can be wrapped. The parts of a wrapped model (`fusion`, `restorers`,
    `extra_modules`) are attributes of the wrapper.

    Args:
        model: the classifier.
        clean: by modality the embeddings of the clean clips. Every clip that is passed later has to
            equal the clean one in these modalities. Needs an AVClassifier unless it is empty.
        keep_embeddings: record the embeddings of the last pass as well.
    """

    def __init__(
        self,
        model: Classifier,
        clean: Mapping[Modality, Embedding] | None = None,
        *,
        keep_embeddings: bool = False,
    ) -> None:
        self._model: Any = model
        self._clean = clean or {}
        self._keep_embeddings = keep_embeddings
        self.logits: Tensor | None = None  # (B, C) of the last pass
        self.encoded: tuple[Clip, Features] | None = None  # the last clips and their embeddings
        self.classified: tuple[Features, Features] | None = None  # the last, plain and restored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def take(self, index: Tensor) -> "CachedModel":
        """The model for the clips at `index`, (K,) int64, alone."""
        part = {modality: embedding.take(index) for modality, embedding in self._clean.items()}
        return CachedModel(self._model, part)

    def encode(self, clip: Clip) -> Features:
        """The embeddings of both modalities; those of an untouched one come from the cache."""
        if self._clean:
            features = Features(self._encode("audio", clip), self._encode("visual", clip))
        else:
            features = self._model.encode(clip)
        if self._keep_embeddings:
            self.encoded = Clip(*_detached(clip)), Features(*_detached(features))
        return features

    def classify(self, features: Features) -> Tensor:
        """Embeddings, as `encode` returns them, to logits (B, classes)."""
        if not isinstance(self._model, AVClassifier):
            return self._record(self._model.classify(features))
        return self.fuse(self.restore_all(features))

    def restore_all(self, features: Features) -> Features:
        """The embeddings of both modalities as the fusion gets them."""
        restored = Features(
            self._restore("audio", features.audio), self._restore("visual", features.visual)
        )
        if self._keep_embeddings:
            self.classified = Features(*_detached(features)), Features(*_detached(restored))
        return restored

    def fuse(self, restored: Features) -> Tensor:
        """Restored embeddings to logits (B, classes)."""
        return self._record(self._model.fuse(restored))

    def __call__(self, clip: Clip) -> Tensor:
        """Clips to logits (B, classes).

        Raises:
            InvalidOutputError: the model returned something of another shape or type.
        """
        if isinstance(self._model, AVClassifier):
            return self.classify(self.encode(clip))
        return self._record(self._model(clip), len(clip.audio))

    def _encode(self, modality: Modality, clip: Clip) -> Tensor:
        if modality in self._clean:
            return self._clean[modality].plain
        embedding: Tensor = self._model.encode_modality(modality, getattr(clip, modality))
        return embedding

    def _restore(self, modality: Modality, embedding: Tensor) -> Tensor:
        if modality in self._clean:
            return self._clean[modality].restored
        restored: Tensor = self._model.restore(modality, embedding)
        return restored

    def _record(self, logits: Tensor, clips: int | None = None) -> Tensor:
        check_shape(logits, clips)
        self.logits = logits.detach()
        return logits


def _detached(tensors: tuple[Tensor, Tensor]) -> list[Tensor]:
    return [tensor.detach() for tensor in tensors]


def has_embeddings(model: Classifier) -> bool:
    """Whether a model can embed each modality on its own, as `AVClassifier` can."""
    return isinstance(getattr(model, "fusion", None), Fusion)
