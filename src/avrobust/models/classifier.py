"""The classifier: encode each modality, restore, fuse, classify; each a method of its own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

from avrobust.models.encoders.base import AudioEncoder, VisualEncoder
from avrobust.models.fusion.base import Fusion, MapFusion
from avrobust.types import Batch, Clip, Features, Modality


@final
class AVClassifier(nn.Module):
    """Clips to logits (B, classes).

    Args:
        audio: None where the fusion does not use the modality.
        visual: None where the fusion does not use the modality.
        fusion: embeddings to the feature that is classified.
        classes: number of classes.
        restorers: a defense's denoisers of the embeddings by modality, (B, D) -> (B, D), before the
            fusion.
        extra_modules: what a defense trains beside the classifier, for example class centers.
    """

    def __init__(
        self,
        audio: AudioEncoder | None,
        visual: VisualEncoder | None,
        fusion: Fusion,
        *,
        classes: int,
        restorers: Mapping[str, nn.Module] | None = None,
        extra_modules: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.audio, self.visual, self.fusion = audio, visual, fusion
        self.head = nn.Linear(fusion.out_dim, classes)
        self.restorers = nn.ModuleDict(restorers)
        self.extra_modules = nn.ModuleDict(extra_modules)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """(B, 1, S) -> (B, D), or (B, 0) where the modality is not used."""
        return audio.new_zeros(len(audio), 0) if self.audio is None else self.audio(audio)

    def encode_visual(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, D), or the map (B, T, D, h, w) for a MapFusion.

        (B, 0) where the modality is not used.
        """
        if self.visual is None:
            return visual.new_zeros(len(visual), 0)
        if isinstance(self.fusion, MapFusion):
            return self.visual.map(visual)
        embedding: Tensor = self.visual(visual)
        return embedding

    def encode_modality(self, modality: Modality, x: Tensor) -> Tensor:
        """One modality's embedding: (B, D), the visual map for a MapFusion, or (B, 0) if unused."""
        return self.encode_audio(x) if modality == "audio" else self.encode_visual(x)

    def encode(self, clip: Clip) -> Features:
        """The embeddings of both modalities."""
        return Features(self.encode_audio(clip.audio), self.encode_visual(clip.visual))

    def restore(self, modality: Modality, embedding: Tensor) -> Tensor:
        """One modality's embedding as the fusion gets it, of the same shape."""
        return self.restorers[modality](embedding) if modality in self.restorers else embedding

    def restore_all(self, features: Features) -> Features:
        """The embeddings of both modalities as the fusion gets them."""
        return Features(
            self.restore("audio", features.audio), self.restore("visual", features.visual)
        )

    def fuse(self, restored: Features) -> Tensor:
        """Restored embeddings to logits (B, classes)."""
        return self.head(self.fusion(restored))  # type: ignore[no-any-return]

    def classify(self, features: Features) -> Tensor:
        """Embeddings to logits (B, classes)."""
        return self.fuse(self.restore_all(features))

    def response(self, clip: Clip) -> Tensor:
        """Clips to (B, T, h, w), larger where the source of the sound is likely to be.

        The fusion has to be a MapFusion.
        """
        assert isinstance(self.fusion, MapFusion)
        return self.fusion.response(self.restore_all(self.encode(clip)))

    def forward(self, clip: Clip) -> Tensor:
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
    """The encoders' embeddings of the first `size` clips, (N, D) each, and their labels, (N,).

    A visual map is averaged over places and frames.

    Args:
        model: left as it was.
        batches: of clips, at least one.
        size: number of clips at most; None for all.
        training: normalize with the statistics of each batch, as in training.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    was_training, device = model.training, model.head.weight.device
    audio: list[Tensor] = []
    visual: list[Tensor] = []
    labels: list[Tensor] = []
    model.train(training)
    for batch in batches:
        if batch.key:
            features = model.encode(batch.clip.to(device)).pooled()
            audio.append(features.audio)
            visual.append(features.visual)
            labels.append(batch.label.to(device))
        if size is not None and sum(map(len, labels)) >= size:
            break
    model.train(was_training)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    return Features(torch.cat(audio)[:size], torch.cat(visual)[:size]), torch.cat(labels)[:size]


@contextmanager
def eval_mode(model: object) -> Iterator[None]:
    """Puts every part of a module in eval mode within the block; leaves other callables alone."""
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
    """Eval mode without parameter gradients: an attack needs the gradients of its inputs alone."""
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    required = [p.requires_grad for p in parameters]
    with eval_mode(model):
        try:
            for parameter in parameters:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter, requires_grad in zip(parameters, required, strict=True):
                parameter.requires_grad_(requires_grad)
