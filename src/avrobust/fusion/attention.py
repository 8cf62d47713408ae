"""Audio-guided attention over the places of the picture."""

from typing import final

import torch
from torch import Tensor, nn

from avrobust.fusion.base import MapFusion
from avrobust.types import Features


@final
class Attention(MapFusion):
    """[f_a; sum_p w_p v_p] with w = softmax_p(u . tanh(W_v v_p + W_a f_a)), over the places p of each frame.

    Audio-guided visual attention, Tian et al. 2018 (ECCV, arXiv 1803.08842), without its extra layers before the sum.
    Learns from event labels alone; where the weights are large is taken to be the sound's source, as in the sound
    sources that Tian & Xu 2021 show under attack. Several frames are averaged.

    Args:
        audio_dim: size of f_a.
        visual_dim: size of each v_p.
        hidden: size of the space in which sound and places are compared.
    """

    def __init__(self, audio_dim: int, visual_dim: int, hidden: int = 256) -> None:
        super().__init__(audio_dim, visual_dim)
        self.out_dim = audio_dim + visual_dim
        self.sound = nn.Linear(audio_dim, hidden)
        self.place = nn.Conv2d(visual_dim, hidden, 1, bias=False)
        self.score = nn.Conv2d(hidden, 1, 1, bias=False)

    def forward(self, features: Features) -> Tensor:
        seen = (self.response(features).unsqueeze(2) * features.visual).sum((3, 4)).mean(1)  # (B, visual_dim)
        return torch.cat((features.audio, seen), dim=1)

    def response(self, features: Features) -> Tensor:
        """The weights (B, T, h, w); those of a frame add up to 1."""
        audio, visual = features
        frames = visual.shape[:2]
        places = self.place(visual.flatten(0, 1)).unflatten(0, frames)  # (B, T, hidden, h, w)
        together = (places + self.sound(audio)[:, None, :, None, None]).tanh()
        scores = self.score(together.flatten(0, 1)).unflatten(0, frames).squeeze(2)  # (B, T, h, w)
        return scores.flatten(2).softmax(2).view_as(scores)
