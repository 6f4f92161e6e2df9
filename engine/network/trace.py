"""Traces an image classifier once into a graph of operations (definitions 1)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from engine.errors import InvalidInputError, UnsupportedOperationError
from engine.network import rules
from engine.network.folding import foldable_batch_norm
from engine.network.freshness import ModelState, model_state
from engine.network.layers import read_layer
from engine.network.operations import Kind, Layer, Operation
from engine.network.pooling import read_windows
from engine.network.recording import Runner
from engine.network.routing import route
from engine.network.state import evaluating
from engine.network.verification import verify


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A model as a graph of operations, for images of one shape.

    Attributes:
        model: the person's own module.
        runner: executes the graph.
        operations: by node, in execution order; the first is the image, the last gives the logits.
        layers: names of the weighted operations, in execution order.
        image_shape: (C, H, W).
        n_classes: number of logits.
        state: of the model when it was traced, see :func:`engine.network.freshness.model_state`.
    """

    model: nn.Module
    runner: Runner
    operations: dict[str, Operation]
    layers: tuple[str, ...]
    image_shape: tuple[int, int, int]
    n_classes: int
    state: ModelState

    @property
    def output(self) -> Operation:
        """The operation that gives the logits."""
        return next(reversed(self.operations.values()))


_TRACING = threading.Lock()


class _Tracer(fx.Tracer):
    """Descends into everything but PyTorch's own modules and batch norms of any origin.

    While torch.fx traces, it stands in for ``nn.Module.__call__`` and ``__getattr__`` in the whole process. A server
    runs other models on other threads meanwhile: those calls are passed through untouched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_batch_norm = isinstance(m, nn.modules.batchnorm._BatchNorm)
        return is_batch_norm or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module, image_shape: tuple[int, int, int]) -> Network:
    """Traces ``model`` for images of shape (C, H, W). The model is left as it was.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits (N, classes).
        image_shape: (C, H, W).

    Raises:
        UnsupportedOperationError: naming the operation and the module, when the model cannot be traced, or contains an
            operation without a path rule.
        InvalidInputError: when it does not accept images of that shape.
    """
    with evaluating(model), torch.no_grad():
        try:
            tracer = _Tracer()
            with _TRACING:  # two tracings at once would undo each other's patches in the wrong order
                graph = tracer.trace(model)
        except Exception as error:  # whatever the person's forward raises on a symbolic input
            raise UnsupportedOperationError(
                f"{type(model).__name__} cannot be traced by torch.fx: {error}. "
                "Its forward must not branch on the values of tensors."
            ) from error
        builder = _Builder(model, fx.GraphModule(tracer.root, graph, type(model).__name__))
        network = builder.build(image_shape)
        verify(model, network.runner, image_shape)
        return network


def traced(model: nn.Module | Network, image_shape: tuple[int, int, int]) -> Network:
    """The model traced; a network that is given is given back, so that several analyses can share one.

    Raises:
        UnsupportedOperationError: as :func:`trace`.
        InvalidInputError: for a network that was traced for images of another shape.
    """
    if not isinstance(model, Network):
        return trace(model, image_shape)
    if model.image_shape != image_shape:
        raise InvalidInputError(f"expected images of shape {model.image_shape}, as the network's; got {image_shape}.")
    return model


def _weight_owner(parameter: str) -> str:
    """The name of a layer that is a function of a stored parameter: the owning module, where the parameter is its only
    ``weight``; else the parameter itself, so that two kernels of one module are two layers and not one used twice."""
    owner, _, name = parameter.rpartition(".")
    return owner if owner and name == "weight" else parameter


class _Builder:
    """Turns the steps of one traced graph into operations, while one blank image runs through it."""

    def __init__(self, model: nn.Module, traced: fx.GraphModule) -> None:
        self.model = model
        self.traced = traced
        self.modules = dict(traced.named_modules(remove_duplicate=False))
        self.operations: dict[str, Operation] = {}
        self.views: dict[str, Any] = {}  # nodes that give several tensors, as positions in the operations they show
        self.view_inputs: dict[str, tuple[str, ...]] = {}
        self.layers: dict[str, Layer] = {}
        self.folded: set[str] = set()
        self.uses: Counter[str] = Counter()

    def build(self, image_shape: tuple[int, int, int]) -> Network:
        example = next((p for p in self.model.parameters()), torch.zeros(()))
        blank = torch.zeros((1, *image_shape), dtype=example.dtype, device=example.device)
        runner = Runner(self.traced)
        try:
            logits = runner.run(blank, self._visit)
        except UnsupportedOperationError:
            raise
        except (RuntimeError, AssertionError) as error:
            raise InvalidInputError(
                f"{type(self.model).__name__} does not accept images of shape {image_shape} (C, H, W): {error}"
            ) from error
        if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or logits.shape[0] != 1:
            got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise UnsupportedOperationError(
                f"expected a model that gives logits (N, classes); got {got} for one image."
            )
        output = next(node for node in reversed(self.traced.graph.nodes) if node.op == "output").args[0]
        assert isinstance(output, fx.Node)
        if output.name not in self.operations:
            raise UnsupportedOperationError("the logits do not depend on the image.")
        used = self._ancestors(output.name)
        operations = {node: op for node, op in self.operations.items() if node in used}
        final = Runner(self.traced, self.layers, frozenset(self.folded))
        layers = tuple(op.name for op in operations.values() if op.kind is Kind.LAYER)
        state = model_state(self.model)
        return Network(self.model, final, operations, layers, image_shape, int(logits.shape[1]), state)

    def _ancestors(self, node: str) -> set[str]:
        found: set[str] = set()
        waiting = [node]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(self.operations[current].inputs)
        return found

    def _tracked(self, node: fx.Node) -> list[fx.Node]:
        return [n for n in node.all_input_nodes if n.name in self.operations or n.name in self.views]

    def _visit(self, node: fx.Node, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if node.op == "placeholder":
            if self.operations:
                raise UnsupportedOperationError("expected a model with one input, a batch of images; it takes several.")
            self.operations[node.name] = Operation(node.name, node.name, Kind.INPUT, (), tuple(value.shape[1:]))
            return
        if not self._carries_image(node, value):
            return
        module = self.modules[str(node.target)] if node.op == "call_module" else None
        target: Any = module if module is not None else node.target
        kind = rules.kind_of_module(module) if module is not None else rules.kind_of_call(target)
        if kind is Kind.LAYER:
            self._add_layer(node, module, (args, kwargs), value)
        elif kind in (Kind.MAX_POOL, Kind.AVERAGE_POOL):
            windows = read_windows(node, target, (args, kwargs), value)
            self._add(node, kind, value, windows=windows)
        elif kind is Kind.ROUTE:
            self._add_route(node, target, args, kwargs)
        elif kind is Kind.SAME_POSITION and node.name not in self.folded:
            self._add(node, kind, value)
        elif node.name in self.folded:
            self._add(node, Kind.SAME_POSITION, value)
        else:
            self._add_arithmetic(node, kind, target, value)

    def _carries_image(self, node: fx.Node, value: Any) -> bool:
        is_tensor = isinstance(value, torch.Tensor)
        if isinstance(value, tuple | list) and value and all(isinstance(v, torch.Tensor) for v in value):
            is_tensor = True
        return is_tensor and bool(self._tracked(node)) and node.op != "get_attr"

    def _add(self, node: fx.Node, kind: Kind, value: torch.Tensor, **details: Any) -> None:
        first = self._tracked(node)[0]
        if first.name not in self.operations:
            raise self._unsupported(node, "it reads several tensors at once")
        name = details.pop("name", node.name)
        self.operations[node.name] = Operation(
            node.name, name, kind, details.pop("inputs", (first.name,)), tuple(value.shape[1:]), **details
        )

    def _add_layer(self, node: fx.Node, module: nn.Module | None, values: Any, result: torch.Tensor) -> None:
        weight_node = node.kwargs.get("weight", node.args[1] if len(node.args) > 1 else None)
        if module is None and not (isinstance(weight_node, fx.Node) and weight_node.op == "get_attr"):
            raise self._unsupported(node, "its weights are computed, not stored")
        norm = None if isinstance(module, nn.Linear) or result.dim() != 4 else foldable_batch_norm(node, self.modules)
        layer = read_layer(node, module, values, result, norm)
        path = str(node.target) if module is not None else _weight_owner(str(weight_node.target))  # type: ignore[union-attr]
        self.uses[path] += 1
        name = path if self.uses[path] == 1 else f"{path}#{self.uses[path]}"
        self.layers[node.name] = layer
        if norm is not None:
            self.folded.add(next(iter(node.users)).name)
        self._add(node, Kind.LAYER, result, layer=layer, name=name)

    def _add_route(self, node: fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        parents = self._tracked(node)
        if any(parent.name in self.views for parent in parents):
            if len(parents) > 1:
                raise self._unsupported(node, "it joins the parts of a split with other tensors")
            inputs = self.view_inputs[parents[0].name]
        else:
            inputs = tuple(dict.fromkeys(parent.name for parent in parents))
        positions = route(node, target, [self.operations[i] for i in inputs], self.views, args, kwargs)
        if not isinstance(positions, torch.Tensor):
            self.views[node.name] = positions
            self.view_inputs[node.name] = inputs
            return
        if positions.dim() < 2 or positions.shape[0] != 1:
            raise self._unsupported(node, "it mixes the images of a batch")
        sources = positions.reshape(-1).round().to(torch.int64).cpu().numpy() - 1
        shape = tuple(positions.shape[1:])
        stays = len(inputs) == 1 and np.array_equal(sources, np.arange(self.operations[inputs[0]].size))
        kind = Kind.SAME_POSITION if stays else Kind.ROUTE
        self.operations[node.name] = Operation(
            node.name, node.name, kind, inputs, shape, sources=None if stays else sources
        )

    def _add_arithmetic(self, node: fx.Node, kind: Kind | None, target: Any, value: torch.Tensor) -> None:
        """Sums of two feature maps, products with a gate, and arithmetic with constants."""
        parents = self._tracked(node)
        operands = [n for n in node.args if isinstance(n, fx.Node) and n in parents]
        if any(parent.name in self.views for parent in parents):
            raise self._unsupported(node, "it reads several tensors at once")
        two_maps = len(operands) == 2
        known = kind is Kind.ADD or target in rules.ARITHMETIC or target in rules.MULTIPLY
        if not known or len(operands) not in (1, 2):
            raise self._unsupported(node, "no path rule is defined for it")
        if not two_maps:
            if self.operations[operands[0].name].shape != tuple(value.shape[1:]):
                raise self._unsupported(node, "it spreads one element over several")
            self._add(node, Kind.SAME_POSITION, value)
        elif kind is Kind.ADD:
            shapes = {self.operations[n.name].shape for n in operands}
            if shapes != {tuple(value.shape[1:])} or node.kwargs.get("alpha", 1) != 1:
                raise self._unsupported(node, "only the plain sum of two maps of one shape has a path rule")
            self._add(node, Kind.ADD, value, inputs=tuple(n.name for n in operands))
        elif target in rules.MULTIPLY:
            self._add(node, Kind.SAME_POSITION, value, inputs=(self._gated(node, operands, tuple(value.shape[1:])),))
        else:
            raise self._unsupported(node, "no path rule is defined for it with two feature maps")

    def _gated(self, node: fx.Node, operands: list[fx.Node], shape: tuple[int, ...]) -> str:
        """The operand that is not the gate: of full shape where the other is broadcast, else not a sigmoid's result."""
        full = [n for n in operands if self.operations[n.name].shape == shape]
        if len(full) == 2:
            full = [n for n in full if not self._is_gate(n)]
        if len(full) != 1:
            raise self._unsupported(node, "the product of two feature maps has no path rule unless one is a gate")
        return full[0].name

    def _is_gate(self, node: fx.Node) -> bool:
        target = self.modules[str(node.target)] if node.op == "call_module" else node.target
        name = target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)
        return name.lower() in rules.GATES

    def _unsupported(self, node: fx.Node, reason: str) -> UnsupportedOperationError:
        module = self.modules[str(node.target)] if node.op == "call_module" else node.target
        operation = type(module).__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", str(module))
        stack = node.meta.get("nn_module_stack") or {}
        place = (
            str(node.target)
            if node.op == "call_module"
            else next(reversed([str(k) for k in stack]), "") or "the model's forward"
        )
        return UnsupportedOperationError(
            f"the operation {operation} in {place} (step {node.name!r}) cannot be followed: {reason}. "
            "Replace it by operations of the table in the documentation, or choose another model."
        )
