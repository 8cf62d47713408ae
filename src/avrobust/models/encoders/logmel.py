"""A net on the log-mel spectrogram, computed in the module: gradients reach the waveform."""

from typing import final

from torch import Tensor

from avrobust.data.layout import SAMPLE_RATE
from avrobust.models.encoders.base import AudioEncoder
from avrobust.models.encoders.blocks import conv_stack
from avrobust.ranges import PositiveInt, Widths

SILENCE = 1e-6  # added to the power before the logarithm, so that digital silence stays finite


@final
class LogMel(AudioEncoder):
    """log(mel power + 1e-6) of the waveform, then a 2-D convolutional net.

    Its map is averaged over frequency and time.

    Args:
        widths: output channels of each block; the last is the embedding's size.
        mels: number of mel bands.
        window: samples of an FFT window.
        hop: samples from one window to the next.
    """

    def __init__(
        self,
        widths: Widths = (32, 64, 128, 512),
        mels: PositiveInt = 64,
        window: PositiveInt = 512,
        hop: PositiveInt = 256,
    ) -> None:
        from torchaudio.transforms import MelSpectrogram  # as torchvision in `resnet_stages`

        super().__init__()
        self.dim = widths[-1]
        self.mel = MelSpectrogram(
            SAMPLE_RATE, n_fft=window, hop_length=hop, n_mels=mels, f_min=40.0
        )
        self.stack = conv_stack(1, widths)

    def forward(self, audio: Tensor) -> Tensor:
        spectrogram = (self.mel(audio) + SILENCE).log()  # (B, 1, mels, 1 + S / hop)
        return self.stack((spectrogram + 5.0) / 5.0).mean((2, 3))  # type: ignore[no-any-return]
