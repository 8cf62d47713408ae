"""The classifier: encode each modality, restore, fuse, classify; each a method of its own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Self, final

import torch
from torch import Tensor, nn

from avrobust.models.encoders.base import AudioEncoder, VisualEncoder
from avrobust.models.fusion.base import Fusion, MapFusion
from avrobust.types import MODALITIES, Batch, Clip, Features, Modality


@final
class AVClassifier(nn.Module):
    """Clips to logits (B, classes).

    Args:
        audio: None where the fusion does not use the modality.
        visual: likewise.
        fusion: embeddings to the feature that is classified.
        classes: how many.
        restorers: a defense's denoisers of the embeddings by modality, (B, D) -> (B, D), before the
            fusion.
        learned: what a defense learns beside the classifier, for example class centers.
    """

    def __init__(
        self,
        audio: AudioEncoder | None,
        visual: VisualEncoder | None,
        fusion: Fusion,
        *,
        classes: int,
        restorers: Mapping[str, nn.Module] | None = None,
        learned: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.audio, self.visual, self.fusion = audio, visual, fusion
        self.head = nn.Linear(fusion.out_dim, classes)
        self.restorers, self.learned = nn.ModuleDict(restorers), nn.ModuleDict(learned)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """(B, 1, S) -> (B, D), or (B, 0) where the modality is not used."""
        return audio.new_zeros(len(audio), 0) if self.audio is None else self.audio(audio)

    def encode_visual(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, D), the map (B, T, D, h, w) for a MapFusion, or (B, 0) where it is not used."""
        if self.visual is None:
            return visual.new_zeros(len(visual), 0)
        return (
            self.visual.map(visual) if isinstance(self.fusion, MapFusion) else self.visual(visual)
        )

    def encode(self, clip: Clip) -> Features:
        """The embeddings of both modalities."""
        return Features(self.encode_audio(clip.audio), self.encode_visual(clip.visual))

    def restore(self, modality: Modality, embedding: Tensor) -> Tensor:
        """One modality's embedding as the fusion gets it, of the same shape."""
        return self.restorers[modality](embedding) if modality in self.restorers else embedding

    def fuse(self, restored: Features) -> Tensor:
        """Restored embeddings to logits (B, classes)."""
        return self.head(self.fusion(restored))  # type: ignore[no-any-return]

    def classify(self, features: Features) -> Tensor:
        """Embeddings to logits (B, classes)."""
        return self.fuse(
            Features(self.restore("audio", features.audio), self.restore("visual", features.visual))
        )

    def response(self, clip: Clip) -> Tensor:
        """Clips to (B, T, h, w): larger where the source of the sound is taken to be. The fusion is a MapFusion."""
        assert isinstance(self.fusion, MapFusion)
        features = self.encode(clip)
        pairs = zip(MODALITIES, features, strict=True)
        return self.fusion.response(Features(*(self.restore(m, e) for m, e in pairs)))

    def forward(self, clip: Clip) -> Tensor:
        """Clips to logits (B, classes)."""
        return self.classify(self.encode(clip))


@final
class HeldModel:
    """An AVClassifier in which the embedding of a modality that no attack touches is computed once, not at every step.

    Args:
        model: the classifier.
        held: by modality the embedding and the restored embedding of the clean clips; every later
            call has to be on clips that equal them there.
    """

    def __init__(self, model: AVClassifier, held: Mapping[Modality, tuple[Tensor, Tensor]]) -> None:
        self._model, self.fusion, self.restorers, self.learned = (
            model,
            model.fusion,
            model.restorers,
            model.learned,
        )
        self._embedding = {m: embedding.detach() for m, (embedding, _) in held.items()}
        self._restored = {m: restored.detach() for m, (_, restored) in held.items()}

    @classmethod
    def of(cls, model: AVClassifier, clip: Clip, *modalities: Modality) -> Self:
        """The model with these modalities of these clips held."""
        encode = {"audio": model.encode_audio, "visual": model.encode_visual}
        embedding = {m: encode[m](getattr(clip, m)) for m in modalities}
        return cls(model, {m: (e, model.restore(m, e)) for m, e in embedding.items()})

    def take(self, index: Tensor) -> Self:
        """The same for the clips at `index`, (K,) int64, alone."""
        part = copy(self)
        part._embedding = {m: embedding[index] for m, embedding in self._embedding.items()}
        part._restored = {m: embedding[index] for m, embedding in self._restored.items()}
        return part

    def encode(self, clip: Clip) -> Features:
        """The embeddings of both modalities, the held one from the clean clips."""
        held, model = self._embedding, self._model
        audio = held["audio"] if "audio" in held else model.encode_audio(clip.audio)
        visual = held["visual"] if "visual" in held else model.encode_visual(clip.visual)
        return Features(audio, visual)

    def classify(self, features: Features) -> Tensor:
        """Embeddings, as `encode` gives them, to logits (B, classes)."""
        pairs = zip(MODALITIES, features, strict=True)
        return self._model.fuse(
            Features(
                *(
                    self._restored[m] if m in self._restored else self._model.restore(m, e)
                    for m, e in pairs
                )
            )
        )

    def __call__(self, clip: Clip) -> Tensor:
        """Clips to logits (B, classes)."""
        return self.classify(self.encode(clip))


@torch.no_grad()
def embed(
    model: AVClassifier,
    batches: Iterable[Batch],
    size: int | None = None,
    *,
    training: bool = False,
) -> tuple[Features, Tensor]:
    """The encoders' embeddings of the first `size` clips, all if None, and their labels: (N, D) each, (N,).

    Of a map the mean.

    Args:
        model: left as it was.
        batches: of clips, at least one.
        size: how many clips at most.
        training: normalize with the statistics of each batch, as in training.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    was, device = model.training, model.head.weight.device
    found: list[tuple[Tensor, ...]] = []
    model.train(training)
    for batch in batches:
        if batch.key:
            found.append((*model.encode(batch.clip.to(device)).pooled(), batch.label.to(device)))
        if size is not None and sum(len(label) for *_, label in found) >= size:
            break
    model.train(was)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    audio, visual, label = (torch.cat(parts)[:size] for parts in zip(*found, strict=True))
    return Features(audio, visual), label


@contextmanager
def eval_mode(model: object) -> Iterator[None]:
    """Puts every part of a module in eval mode for a while; any other callable is left as it is."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [m.training for m in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


@contextmanager
def frozen(model: object) -> Iterator[None]:
    """`eval_mode`, and no parameter asks for a gradient: an attack needs those of its inputs alone."""
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    wanted = [p.requires_grad for p in parameters]
    with eval_mode(model):
        try:
            for parameter in parameters:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter, want in zip(parameters, wanted, strict=True):
                parameter.requires_grad_(want)
