"""Reads a pooling step of a traced graph into windows."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from engine.errors import UnsupportedOperationError
from engine.network.operations import Windows
from engine.network.windows import adaptive, as_pair, sliding

_ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_ADAPTIVE_FUNCTIONS = (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)
_NAMES = {
    "avg_pool2d": ("input", "kernel_size", "stride", "padding", "ceil_mode"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
}


def read_windows(node: fx.Node, target: Any, values: tuple[tuple[Any, ...], dict[str, Any]], result: Any) -> Windows:
    """The windows of the max, average, adaptive or whole-map pooling at ``node``.

    Args:
        target: the module, function or method name.
        values: evaluated arguments for one image.
        result: what it gave.

    Raises:
        UnsupportedOperationError: for a mean over other than the two spatial dimensions, or a pooling that returns more
            than one tensor.
    """
    args, kwargs = values
    x = args[0] if args else kwargs["input"]
    if not isinstance(result, torch.Tensor):
        raise UnsupportedOperationError(f"{node.target}: a pooling that also returns indices cannot be followed.")
    in_size = (int(x.shape[-2]), int(x.shape[-1]))
    if target in ("mean", torch.mean):
        dims = args[1] if len(args) > 1 else kwargs.get("dim")
        wanted = {x.dim() - 2, x.dim() - 1}
        if x.dim() != 4 or not isinstance(dims, tuple | list) or {d % x.dim() for d in dims} != wanted:
            raise UnsupportedOperationError(
                f"mean at {node.name!r}: expected a mean over the two spatial dimensions (2, 3) of (N, C, H, W); "
                f"got dimensions {dims} of shape {tuple(x.shape)}."
            )
        return adaptive(in_size, (1, 1))
    out_size = (int(result.shape[-2]), int(result.shape[-1]))
    if isinstance(target, _ADAPTIVE) or target in _ADAPTIVE_FUNCTIONS:
        return adaptive(in_size, out_size)
    settings = _settings(target, args, kwargs)
    if settings.get("return_indices"):
        raise UnsupportedOperationError(f"{node.target}: a pooling that also returns indices cannot be followed.")
    kernel = as_pair(settings["kernel_size"])
    stride = as_pair(settings["stride"]) if settings.get("stride") else kernel
    return sliding(
        in_size, out_size, kernel, stride, as_pair(settings.get("padding", 0)), as_pair(settings.get("dilation", 1))
    )


def _settings(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if isinstance(target, nn.Module):
        return {name: value for name, value in vars(target).items() if not name.startswith("_")}
    name = "avg_pool2d" if target is F.avg_pool2d else "max_pool2d"
    given = dict(zip(_NAMES[name], args, strict=False)) | kwargs
    assert "kernel_size" in given, f"{name} was called without a kernel size"
    return given
