"""Which module, function or tensor method follows which rule (the table of definitions 2)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from engine.network.operations import Kind

_MODULES: dict[Kind, tuple[type[nn.Module], ...]] = {
    Kind.LAYER: (nn.Conv2d, nn.Linear),
    Kind.MAX_POOL: (nn.MaxPool2d, nn.AdaptiveMaxPool2d),
    Kind.AVERAGE_POOL: (nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    Kind.ROUTE: (
        nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d,
        nn.CircularPad2d, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
    ),
    Kind.SAME_POSITION: (
        nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
        nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh,
        nn.Threshold, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity,
        nn.BatchNorm1d, nn.BatchNorm2d,
    ),
}  # fmt: skip

_FUNCTIONS: dict[Kind, tuple[Callable[..., Any], ...]] = {
    Kind.LAYER: (F.conv2d, torch.conv2d, F.linear),
    Kind.MAX_POOL: (F.max_pool2d, torch.max_pool2d, F.adaptive_max_pool2d),
    Kind.AVERAGE_POOL: (F.avg_pool2d, F.adaptive_avg_pool2d, torch.mean),
    Kind.ADD: (operator.add, operator.iadd, torch.add),
    Kind.ROUTE: (
        torch.cat, torch.concat, torch.stack, torch.flatten, torch.reshape, torch.permute, torch.transpose,
        torch.squeeze, torch.unsqueeze, torch.chunk, torch.split, torch.narrow, torch.roll, torch.flip, F.pad,
        operator.getitem, F.pixel_shuffle, torch.channel_shuffle, torch.movedim, torch.swapaxes,
    ),
    Kind.SAME_POSITION: (
        F.relu, torch.relu, torch.relu_, F.relu6, F.leaky_relu, F.prelu, F.rrelu, F.elu, F.celu, F.selu, F.gelu,
        F.silu, F.mish, F.sigmoid, torch.sigmoid, F.logsigmoid, F.tanh, torch.tanh, F.softplus, F.softsign,
        F.hardswish, F.hardsigmoid, F.hardtanh, F.threshold, F.dropout, F.dropout1d, F.dropout2d, F.alpha_dropout,
        F.feature_alpha_dropout, F.batch_norm, torch.clamp, torch.neg, torch.abs,
    ),
}  # fmt: skip

_METHODS: dict[Kind, tuple[str, ...]] = {
    Kind.AVERAGE_POOL: ("mean",),
    Kind.ADD: ("add", "add_"),
    Kind.ROUTE: (
        "flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "chunk", "split", "narrow",
        "roll", "flip", "movedim", "swapaxes", "t",
    ),
    Kind.SAME_POSITION: (
        "relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_", "clamp", "clamp_", "contiguous", "clone", "detach",
        "float", "to", "type_as",
    ),
}  # fmt: skip

# With two feature maps these are no rule of their own; with a constant they rescale each element where it stands.
ARITHMETIC: tuple[Callable[..., Any] | str, ...] = (
    operator.sub, operator.isub, torch.sub, "sub", "sub_", operator.truediv, operator.itruediv, torch.div, "div",
    "div_",
)  # fmt: skip
MULTIPLY: tuple[Callable[..., Any] | str, ...] = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
# Wrapped by the libraries that define them, so known by name; they drop whole branches in training and nothing in eval.
_DROPS_BRANCHES = ("stochastic_depth", "drop_path")
GATES = ("sigmoid", "hardsigmoid", "softmax")
# Steps that bend the values of a layer, by name without underscores; dropout, identity and batch norm do not.
_ACTIVATIONS = frozenset(
    ("relu", "relu6", "leakyrelu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid",
     "logsigmoid", "tanh", "softplus", "softsign", "hardswish", "hardsigmoid", "hardtanh", "threshold", "clamp")
)  # fmt: skip

_BY_FUNCTION = {function: kind for kind, functions in _FUNCTIONS.items() for function in functions}
_BY_METHOD = {method: kind for kind, methods in _METHODS.items() for method in methods}


def kind_of_module(module: nn.Module) -> Kind | None:
    """The rule for a module, None where there is none."""
    return next((kind for kind, types in _MODULES.items() if isinstance(module, types)), None)


def kind_of_call(target: Callable[..., Any] | str) -> Kind | None:
    """The rule for a function, or for a tensor method by its name; None where there is none."""
    if isinstance(target, str):
        return _BY_METHOD.get(target)
    if getattr(target, "__name__", "") in _DROPS_BRANCHES:
        return Kind.SAME_POSITION
    return _BY_FUNCTION.get(target)


def is_activation(target: Callable[..., Any] | str | nn.Module) -> bool:
    """Whether a step is an activation function."""
    if isinstance(target, str):
        name = target
    else:
        name = type(target).__name__ if isinstance(target, nn.Module) else getattr(target, "__name__", "")
    return name.lower().replace("_", "") in _ACTIVATIONS


def writes_in_place(
    target: Callable[..., Any] | str | nn.Module, kwargs: dict[str, Any], args: tuple[Any, ...]
) -> bool:
    """Whether the step may overwrite its first argument."""
    if isinstance(target, nn.Module):
        return bool(getattr(target, "inplace", False))
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    if kwargs.get("inplace"):
        return True
    in_place_operator = name in ("iadd", "isub", "imul", "itruediv")
    positional = name in ("relu", "relu6", "elu", "leaky_relu", "hardtanh", "dropout", "silu") and True in args[1:]
    return in_place_operator or positional or (name.endswith("_") and not name.endswith("__"))
