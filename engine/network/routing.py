"""Where each output element of a rearranging step comes from: the step itself, run on positions instead of values."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from engine.network.operations import Operation

_CONSTANT_PADS = (nn.ZeroPad2d, nn.ConstantPad2d)


def route(
    node: fx.Node,
    target: Any,
    inputs: list[Operation],
    views: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Runs the step on positions.

    Positions count from 1 through all inputs laid end to end, in float64 (exact up to 2⁵³), because padding does not
    take integers in every mode; 0 marks padding.

    Args:
        node: the step; ``args`` and ``kwargs`` are its evaluated arguments for one image.
        target: its module, function or method name.
        inputs: the operations it reads, each once.
        views: positions of earlier steps that gave several tensors (``chunk``, ``split``), by node.

    Returns:
        A (1, ...) tensor of positions, or a tuple of such tensors.
    """
    positions: dict[str, Any] = dict(views)
    begin = 1
    for operation in inputs:
        end = begin + operation.size
        positions[operation.node] = torch.arange(begin, end, dtype=torch.float64).reshape(1, *operation.shape)
        begin = end

    def substitute(original: Any, evaluated: Any) -> Any:
        if isinstance(original, fx.Node):
            return positions.get(original.name, evaluated)
        if isinstance(original, tuple | list):
            return type(original)(substitute(o, e) for o, e in zip(original, evaluated, strict=True))
        return evaluated

    new_args = tuple(substitute(o, e) for o, e in zip(node.args, args, strict=True))
    new_kwargs = {name: substitute(node.kwargs[name], value) for name, value in kwargs.items()}
    if isinstance(target, _CONSTANT_PADS):
        return F.pad(new_args[0], target.padding, "constant", 0.0)
    if target is F.pad:
        mode = new_args[2] if len(new_args) > 2 else new_kwargs.get("mode", "constant")
        pad = new_args[1] if len(new_args) > 1 else new_kwargs["pad"]
        return F.pad(new_args[0], pad, mode, 0.0 if mode == "constant" else None)
    if isinstance(target, str):
        return getattr(new_args[0], target)(*new_args[1:], **new_kwargs)
    return target(*new_args, **new_kwargs)
