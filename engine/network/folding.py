"""Batch norm in eval mode is an affine map per channel; directly after a convolution it becomes part of the kernel."""

from __future__ import annotations

import torch
from torch import fx, nn


def foldable_batch_norm(node: fx.Node, modules: dict[str, nn.Module]) -> nn.BatchNorm2d | nn.BatchNorm1d | None:
    """The batch norm that follows the weighted ``node`` and can be folded into it, if there is one.

    It can be when it is the only reader of the layer's output and normalises by running statistics. A subclass may do
    more than normalise (timm's includes the activation): it stays an operation of its own.
    """
    users = list(node.users)
    if len(users) != 1 or users[0].op != "call_module":
        return None
    module = modules[str(users[0].target)]
    if type(module) in (nn.BatchNorm2d, nn.BatchNorm1d) and module.running_mean is not None:
        return module  # type: ignore[return-value]
    return None


def fold(
    weight: torch.Tensor, bias: torch.Tensor | None, norm: nn.BatchNorm2d | nn.BatchNorm1d
) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel (O, ...) and bias (O,) of layer and batch norm together; computed in float64, returned as given."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    if bias is not None:
        shift = shift + bias.double() * scale
    folded = weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))
    return folded.to(weight.dtype), shift.to(weight.dtype)
