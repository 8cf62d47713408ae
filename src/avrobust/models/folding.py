"""BatchNorm folded into convolutions: an evaluation then passes over the activations less often."""

from contextlib import suppress
from copy import deepcopy

from torch import nn
from torch.fx import GraphModule, Node, symbolic_trace
from torch.fx.proxy import TraceError
from torch.nn.utils.fusion import fuse_conv_bn_eval

from avrobust.models.classifier import AVClassifier


def folded(model: AVClassifier) -> AVClassifier:
    """A copy for evaluation alone, in which each BatchNorm is part of the convolution before it.

    The same numbers up to rounding. Encoders' parts that cannot be traced stay as they are.
    """
    copied = deepcopy(model).eval()
    for encoder in (copied.audio, copied.visual):
        for name, part in list(encoder.named_children()) if encoder else ():
            with suppress(TraceError):
                setattr(encoder, name, _fold(symbolic_trace(part)))
    return copied


def _fold(traced: GraphModule) -> GraphModule:
    for node in traced.graph.nodes:
        norm = _module(traced, node)
        before = node.args[0] if node.args else None
        convolution = _module(traced, before)
        if not (isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d)):
            continue
        assert isinstance(before, Node)
        if len(before.users) == 1:
            traced.set_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm))
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _module(traced: GraphModule, node: object) -> nn.Module | None:
    """The module that a node of the graph calls."""
    return (
        traced.get_submodule(str(node.target))
        if isinstance(node, Node) and node.op == "call_module"
        else None
    )
