"""Weights that torchvision publishes or a file holds, with a message where they do not fit."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import torch
from torch import Tensor, nn

from avrobust.errors import UserError

if TYPE_CHECKING:  # its import takes longer than all checks of a command
    from torchvision.models import WeightsEnum


def load_weights(net: nn.Module, weights: str, name: str, published: "WeightsEnum") -> None:
    """Loads weights into a network.

    Args:
        net: the network as torchvision builds it, its classifier included.
        weights: `name`, or the path of a state dict.
        name: what the published weights are called on the command line.
        published: the weights that torchvision fetches for `name`.

    Raises:
        UserError: the weights cannot be fetched or read, or do not fit this network.
    """
    state = _fetch(name, published) if weights == name else _read(Path(weights))
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"visual.weights={weights}: these weights are not of this network ({reason})"
        ) from None


def _fetch(name: str, published: "WeightsEnum") -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = published.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"visual.weights={name}: the published weights could not be fetched ({error}); "
            "give a file (visual.weights=FILE) or train from random weights (visual.weights=null)"
        ) from None
    return state


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a file that is not a state dict
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"visual.weights={path}: cannot be read as a PyTorch state dict ({reason})"
        ) from None
    return state
