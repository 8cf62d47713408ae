"""How many clips an evaluation takes at once: a given number, or as many as memory allows."""

from typing import Literal

import psutil
import torch
from torch import Tensor

from avrobust.data.layout import Format
from avrobust.models.classifier import AVClassifier, frozen
from avrobust.types import Clip

# Of the free memory: other processes, the allocator's gaps and the convolutions' workspace need
# some too.
SHARE = 0.5
# Of the clips in an iterative attack: clean, adversarial, gradients, momentum, the worst so far ...
COPIES = 12
LARGEST = {"cpu": 32, "cuda": 1024}  # more gains nothing


def choose_batch_size(
    wanted: int | Literal["auto"], model: AVClassifier, form: Format, accelerator: str
) -> int:
    """How many clips to evaluate at once.

    Args:
        wanted: a number; or "auto", as many as memory allows.
        model: not on the GPU yet.
        form: the size of its clips.
        accelerator: of the trainer; "cpu" leaves GPUs alone.
    """
    if wanted != "auto":
        return wanted
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    free = torch.cuda.mem_get_info()[0] if on_gpu else psutil.virtual_memory().available
    fit = int(SHARE * free / bytes_of_a_clip(model, form))
    return max(1, min(fit, LARGEST["cuda" if on_gpu else "cpu"]))


def bytes_of_a_clip(model: AVClassifier, form: Format) -> int:
    """How much memory the gradient of one clip needs.

    It is the memory of the activations saved for the backward pass, and the attack's own. The
    activations are counted in the encoders, on a clip of zeros, on the CPU; their gradients are
    taken to need as much again.

    Raises:
        RuntimeError: the model cannot take clips of this size.
    """
    shape = (1, form.frames, 3, form.image_size, form.image_size)
    clip = Clip(
        torch.zeros(1, 1, form.audio_samples, requires_grad=True),
        torch.zeros(shape, requires_grad=True),
    )
    weights = {
        tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())
    }
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with frozen(model), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.encode(clip)
    clip_bytes: int = sum(part.nbytes for part in clip)
    return 2 * sum(saved.values()) + COPIES * clip_bytes
