"""Audio-guided attention over the places of the picture."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avrobust.models.fusion.base import MapFusion
from avrobust.ranges import NonNegativeFloat, PositiveInt
from avrobust.types import Features


@final
class Attention(MapFusion):
    """a + sum_p w_p b_p over the places p of a frame, with weights from audio-guided attention.

    a = W_a f_a, b_p = W_v v_p, w = softmax_p(s cosine(a, b_p)). The attention is that of Tian et
    al. 2018 (ECCV, arXiv 1803.08842), with the cosine in a common space (as in Senocak et al. 2018,
    CVPR) in place of its tanh. Adding sound and places in that space is our choice. One classifier
    then reads both: a picture and a sound of one class point the same way, so that event labels
    alone teach where to look. The source of the sound is taken to be where the cosine is large, as
    Tian & Xu 2021 show sound sources under attack. Several frames are averaged.

    Args:
        audio_dim: size of f_a.
        visual_dim: size of each v_p.
        hidden: size of the common space.
        scale: initial value of s, which is learned.
    """

    def __init__(
        self,
        audio_dim: PositiveInt,
        visual_dim: PositiveInt,
        hidden: PositiveInt = 128,
        scale: NonNegativeFloat = 10.0,
    ) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = hidden
        self.sound = nn.Linear(audio_dim, hidden)
        self.place = nn.Linear(visual_dim, hidden)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, features: Features) -> Tensor:
        sound, places = self._common(features)
        weights = self._weights(sound, places)
        return sound + (weights.unsqueeze(4) * places).sum((2, 3)).mean(1)

    def response(self, features: Features) -> Tensor:
        """The cosine of sound and places, (B, T, h, w) in [-1, 1]."""
        return _alike(*self._common(features))

    def weights(self, features: Features) -> Tensor:
        """The attention (B, T, h, w), larger where the response is; it sums to 1 over a frame."""
        return self._weights(*self._common(features))

    def _common(self, features: Features) -> tuple[Tensor, Tensor]:
        """Sound (B, hidden) and places (B, T, h, w, hidden) in the common space."""
        return self.sound(features.audio), self.place(features.visual.movedim(2, 4))

    def _weights(self, sound: Tensor, places: Tensor) -> Tensor:
        alike = _alike(sound, places)
        return (self.scale * alike).flatten(2).softmax(2).view(alike.shape)


def _alike(sound: Tensor, places: Tensor) -> Tensor:
    return F.cosine_similarity(sound[:, None, None, None], places, dim=4)
