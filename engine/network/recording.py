"""Runs a traced model and records what every operation put out. No hook is ever set on the person's model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from engine.errors import UnsupportedOperationError
from engine.network.operations import Layer
from engine.network.rules import writes_in_place
from engine.network.state import evaluating

Keep = Callable[[fx.Node, Any, tuple[Any, ...], dict[str, Any]], None]
Change = Callable[[fx.Node, Any], Any]


@dataclass(slots=True)
class Runner:
    """Executes a traced graph step by step, with batch norm folded where ``layers`` and ``folded`` say so.

    Attributes:
        module: the traced model; shares its parameters and submodules with the person's.
        layers: weighted layers by node name, run from their folded weights.
        folded: batch-norm nodes that pass their input on, being part of a layer already.
    """

    module: fx.GraphModule
    layers: Mapping[str, Layer] = field(default_factory=dict)
    folded: frozenset[str] = frozenset()
    _last_read: dict[fx.Node, list[fx.Node]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Notes which values each step is the last to read: they need not be held any longer."""
        last = {read: node for node in self.module.graph.nodes for read in node.all_input_nodes}
        self._last_read = {}
        for read, node in last.items():
            self._last_read.setdefault(node, []).append(read)

    def run(self, images: torch.Tensor, keep: Keep, change: Change | None = None) -> Any:
        """Runs the graph.

        Args:
            images: (N, C, H, W).
            keep: ``keep(node, value, args, kwargs)`` sees every step.
            change: ``change(node, value)`` gives what the steps after it see instead; None changes nothing.

        Returns:
            the model's output.
        """
        values: dict[fx.Node, Any] = {}
        for node in self.module.graph.nodes:
            args = tuple([_value_of(argument, values) for argument in node.args])
            kwargs = {name: _value_of(argument, values) for name, argument in node.kwargs.items()}
            if node.op == "output":
                return args[0]
            values[node] = images if node.op == "placeholder" else self._step(node, args, kwargs)
            if change is not None:
                values[node] = change(node, values[node])
            keep(node, values[node], args, kwargs)
            for read in self._last_read.get(node, ()):
                del values[read]
        raise AssertionError("a traced graph always ends in an output")

    def target(self, name: str) -> Any:
        """What the step of that name applies: a module, a function, or a tensor method's name."""
        node = next(node for node in self.module.graph.nodes if node.name == name)
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else node.target

    def _step(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if node.op == "get_attr":
            return _attribute(self.module, str(node.target))
        if node.name in self.folded:
            return args[0]
        if node.name in self.layers:
            return _apply_layer(self.layers[node.name], args[0] if args else kwargs["input"])
        target: Any = self.module.get_submodule(str(node.target)) if node.op == "call_module" else node.target
        if type(target) is nn.ReLU and args and not (target._forward_hooks or target._forward_pre_hooks):
            return F.relu(args[0])  # by far the most frequent; not in place, it needs no copy first
        first = args[0] if args else None
        if isinstance(first, torch.Tensor) and writes_in_place(target, kwargs, args):
            args = (first.clone(), *args[1:])
        guarded = [value for value in args if isinstance(value, torch.Tensor) and not value.is_inference()]
        versions = [value._version for value in guarded]
        result = getattr(args[0], target)(*args[1:], **kwargs) if node.op == "call_method" else target(*args, **kwargs)
        if first is not None and args[0] is first and [value._version for value in guarded] != versions:
            raise UnsupportedOperationError(
                f"{node.target} at {node.name!r} overwrites its input, so the activations before it are lost. "
                "Use the out-of-place form of this operation."
            )
        return result


def _value_of(argument: Any, values: Mapping[fx.Node, Any]) -> Any:
    """What an argument of a step stands for; most are a step or a constant, and need no search for steps inside."""
    if isinstance(argument, fx.Node):
        return values[argument]
    if isinstance(argument, tuple | list | dict | slice):
        return fx.node.map_arg(argument, lambda node: values[node])
    return argument


def _attribute(module: nn.Module, path: str) -> Any:
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _apply_layer(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    if layer.is_linear:
        return F.linear(x, layer.weight.flatten(1), layer.bias)
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.shape.groups)


@contextmanager
def recording(
    model: nn.Module, runner: Runner, nodes: frozenset[str], change: Change | None = None
) -> Iterator[Callable[[torch.Tensor], dict[str, Any]]]:
    """Gives a function from images (N, C, H, W) to the outputs of the named nodes, as a dict node → tensor.

    ``change`` is that of :meth:`Runner.run`; what is recorded is what later steps see.

    Inside the block the model is in eval mode and gradients are off. After it, also after an exception, its flags,
    gradients, weights and hooks are what they were.
    """

    def record(images: torch.Tensor) -> dict[str, Any]:
        kept: dict[str, Any] = {}

        def keep(node: fx.Node, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if node.name in nodes:
                kept[node.name] = value

        runner.run(images, keep, change)
        return kept

    with evaluating(model), torch.no_grad():
        yield record
