"""Reads a weighted step of a traced graph, whether module or function, into a :class:`Layer`."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from engine.errors import UnsupportedOperationError
from engine.network.folding import fold
from engine.network.operations import Layer, LayerShape
from engine.network.windows import as_pair


def read_layer(
    node: fx.Node,
    module: nn.Module | None,
    values: tuple[tuple[Any, ...], dict[str, Any]],
    result: torch.Tensor,
    norm: nn.BatchNorm2d | nn.BatchNorm1d | None,
) -> Layer:
    """The layer at ``node``; ``values`` are its evaluated arguments for one image, ``result`` what it gave."""
    args, kwargs = values
    x = args[0] if args else kwargs["input"]
    stride: Any = (1, 1)
    padding: Any = (0, 0)
    dilation: Any = (1, 1)
    groups = 1
    if isinstance(module, nn.Conv2d):
        if module.padding_mode != "zeros":
            raise UnsupportedOperationError(
                f"{node.target}: expected a convolution padded with zeros; got padding_mode={module.padding_mode!r}. "
                "Put an explicit padding module before an unpadded convolution."
            )
        weight, bias = module.weight, module.bias
        stride, padding, dilation, groups = module.stride, module.padding, module.dilation, module.groups
    elif isinstance(module, nn.Linear):
        weight, bias = module.weight, module.bias
    else:
        names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
        given = dict(zip(names, args, strict=False)) | kwargs
        weight, bias = given["weight"], given.get("bias")
        stride, padding = given.get("stride", 1), given.get("padding", 0)
        dilation, groups = given.get("dilation", 1), given.get("groups", 1)
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    if norm is not None:
        weight, bias = fold(weight, bias, norm)
    is_linear = weight.dim() == 2
    if x.dim() != (2 if is_linear else 4):
        raise UnsupportedOperationError(
            f"{node.target}: expected {'(N, features)' if is_linear else '(N, C, H, W)'} as its input; "
            f"got shape {tuple(x.shape)}. "
            "Paths are defined for image classifiers made of convolutions and linear layers."
        )
    if is_linear:
        weight = weight[:, :, None, None]
    draft = Layer(
        weight, bias, as_pair(stride), padding if isinstance(padding, str) else as_pair(padding), as_pair(dilation),
        is_linear, LayerShape(0, 0, 0, 0, 0, 0, groups, 0),
    )  # fmt: skip
    in_size = (1, 1) if is_linear else (x.shape[2], x.shape[3])
    out_size = (1, 1) if is_linear else (result.shape[2], result.shape[3])
    return _with_shape(draft, in_size, out_size)


def _with_shape(layer: Layer, in_size: tuple[int, int], out_size: tuple[int, int]) -> Layer:
    out_channels, in_channels, kernel_height, kernel_width = layer.weight.shape
    on_image = 1
    for axis in (0, 1):
        on_image *= sum(
            0 <= position * layer.stride[axis] - layer.offset[axis] + tap * layer.dilation[axis] < in_size[axis]
            for position in range(out_size[axis])
            for tap in range(layer.weight.shape[2 + axis])
        )
    shape = LayerShape(
        out_channels, *out_size, in_channels, kernel_height, kernel_width, layer.shape.groups,
        n_synapses=on_image * in_channels * out_channels,
    )  # fmt: skip
    return Layer(layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.is_linear, shape)
