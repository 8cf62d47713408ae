"""The classifier: encode each modality, restore, fuse, classify; each a method of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import final

from torch import Tensor, nn

from avrobust.encoders.base import AudioEncoder, VisualEncoder
from avrobust.fusion.base import Fusion
from avrobust.types import Clip, Features


@final
class AVClassifier(nn.Module):
    """Clips to logits (B, classes). An encoder is None where the fusion does not use its modality."""

    def __init__(
        self, audio: AudioEncoder | None, visual: VisualEncoder | None, fusion: Fusion, *, classes: int
    ) -> None:
        super().__init__()
        self.audio, self.visual, self.fusion = audio, visual, fusion
        self.head = nn.Linear(fusion.out_dim, classes)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """(B, 1, S) -> (B, D), or (B, 0) where the modality is not used."""
        return audio.new_zeros(len(audio), 0) if self.audio is None else self.audio(audio)

    def encode_visual(self, visual: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, D), or (B, 0) where the modality is not used."""
        return visual.new_zeros(len(visual), 0) if self.visual is None else self.visual(visual)

    def encode(self, clip: Clip) -> Features:
        """The embeddings of both modalities."""
        return Features(self.encode_audio(clip.audio), self.encode_visual(clip.visual))

    def classify(self, features: Features) -> Tensor:
        """Embeddings to logits (B, classes)."""
        return self.head(self.fusion(features))  # type: ignore[no-any-return]

    def forward(self, clip: Clip) -> Tensor:
        """Clips to logits (B, classes)."""
        return self.classify(self.encode(clip))


@final
class HeldModel:
    """An AVClassifier in which the embedding of a modality that no attack touches is computed once, not at every step.

    Args:
        model: the classifier.
        clip: the clean clips; every later call has to be on clips that equal them in the held modalities.
        held: whether audio, and whether visual, is held.
    """

    def __init__(self, model: AVClassifier, clip: Clip, held: tuple[bool, bool]) -> None:
        self._model = model
        self.fusion = model.fusion
        self._audio = model.encode_audio(clip.audio).detach() if held[0] else None
        self._visual = model.encode_visual(clip.visual).detach() if held[1] else None

    def take(self, index: Tensor) -> "HeldModel":
        """The same for the clips at `index`, (K,) int64, alone."""
        part = copy(self)
        part._audio = None if self._audio is None else self._audio[index]
        part._visual = None if self._visual is None else self._visual[index]
        return part

    def encode(self, clip: Clip) -> Features:
        """The embeddings of both modalities, the held one from the clean clips."""
        audio = self._model.encode_audio(clip.audio) if self._audio is None else self._audio
        visual = self._model.encode_visual(clip.visual) if self._visual is None else self._visual
        return Features(audio, visual)

    def classify(self, features: Features) -> Tensor:
        """Embeddings to logits (B, classes)."""
        return self._model.classify(features)

    def __call__(self, clip: Clip) -> Tensor:
        """Clips to logits (B, classes)."""
        return self.classify(self.encode(clip))


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
