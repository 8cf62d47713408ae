"""BatchNorm folded into convolutions, so that an evaluation passes over activations less often."""

import warnings
from contextlib import suppress
from copy import deepcopy

from torch.fx.proxy import TraceError

from avrobust.models.classifier import AVClassifier

with warnings.catch_warnings():
    # torch 2.11's own module uses a decorator that torch deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch.fx.experimental.optimization import fuse


def folded(model: AVClassifier) -> AVClassifier:
    """A copy for evaluation alone, in which each BatchNorm is part of the convolution before it.

    The embeddings are equal up to rounding. Parts of the encoders that torch.fx cannot trace stay
    as they are.
    """
    copied = deepcopy(model).eval()
    for encoder in (copied.audio, copied.visual):
        if encoder is None:
            continue
        # Part by part, because one part that cannot be traced would keep the others from folding.
        for name, part in list(encoder.named_children()):
            with suppress(TraceError):
                setattr(encoder, name, fuse(part, inplace=True))
    return copied
