"""How influence passes one step of a traced model backwards: by the absolute value of the step's derivative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.grad import conv2d_input

from engine.network import rules
from engine.network.operations import Kind, Layer, Operation
from engine.network.trace import Network

Parts = list[tuple[str, Tensor]]


class Backward:
    """Passes influence on the elements of a step's output on to the elements of its inputs.

    Where a step's input element s and output element z are linked, s receives |∂z/∂s| times what arrives at z
    (definitions 5). The image's own forward pass decides the masks of activations and the maxima of poolings.
    """

    def __init__(self, network: Network) -> None:
        """Knows the steps of ``network``."""
        self._runner = network.runner
        self._operations = network.operations
        self._nodes: dict[str, fx.Node] = {node.name: node for node in network.runner.module.graph.nodes}

    def __call__(self, operation: Operation, values: Mapping[str, Any], arriving: Tensor) -> Parts:
        """What each input of a step receives.

        Args:
            operation: the step.
            values: outputs of all steps before it in the forward pass, by node.
            arriving: (N, ...) influence of the step's output elements, not negative.

        Returns:
            for each input its node and the influence (N, ...) of its elements; an input that is added to itself twice.
        """
        if operation.kind is Kind.INPUT:
            return []
        if operation.kind is Kind.ADD:
            return [(source, arriving) for source in operation.inputs]
        if operation.kind is Kind.ROUTE:
            return self._rearranged(operation, arriving)
        source = operation.inputs[0]
        if operation.layer is not None:
            return [(source, _through_weights(operation.layer, values[source], arriving))]
        if operation.kind is Kind.SAME_POSITION:
            return [(source, self._element_wise(operation, values, arriving))]
        return [(source, self._pooled(operation, values, arriving))]

    def _rearranged(self, operation: Operation, arriving: Tensor) -> Parts:
        """Every element's influence goes to where the element came from; that of padding goes nowhere."""
        assert operation.sources is not None
        sizes = [self._operations[source].size for source in operation.inputs]
        sources = torch.from_numpy(operation.sources).to(arriving.device)
        inside = sources >= 0
        received = arriving.new_zeros(len(arriving), sum(sizes))
        received.index_add_(1, sources[inside], arriving.flatten(1)[:, inside])
        parts = torch.split(received, sizes, dim=1)
        return [
            (source, part.reshape(-1, *self._operations[source].shape))
            for source, part in zip(operation.inputs, parts, strict=True)
        ]

    def _element_wise(self, operation: Operation, values: Mapping[str, Any], arriving: Tensor) -> Tensor:
        shaped = arriving.reshape(-1, *self._operations[operation.inputs[0]].shape)
        if operation.node in self._runner.folded or self._moves_nothing(operation):
            return shaped
        with torch.enable_grad():
            leaf, result = self._repeated(operation, values)
            derivative: Tensor = torch.autograd.grad(result.sum(), leaf)[0]
        return derivative.abs() * shaped

    def _pooled(self, operation: Operation, values: Mapping[str, Any], arriving: Tensor) -> Tensor:
        """The derivative of a pooling is never negative, so its plain backward pass is the one with absolute values."""
        with torch.enable_grad():
            leaf, result = self._repeated(operation, values)
            passed: Tensor = torch.autograd.grad(result, leaf, arriving)[0]
        return passed

    def _moves_nothing(self, operation: Operation) -> bool:
        """Whether a step is a reshape or the like, or cuts gradients: all that it does to values is to pass them on."""
        target = self._runner.target(operation.node)
        kind = rules.kind_of_module(target) if isinstance(target, nn.Module) else rules.kind_of_call(target)
        return kind is Kind.ROUTE or target == "detach"

    def _repeated(self, operation: Operation, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """The step once more, on a leaf in place of its input; all else that it reads, a gate too, is a constant."""
        node, source = self._nodes[operation.node], operation.inputs[0]
        leaf = values[source].detach().requires_grad_()

        def value(read: fx.Node) -> Any:
            if read.name == source:
                return leaf.clone()  # the step may overwrite it
            constant = values[read.name]
            return constant.detach() if isinstance(constant, Tensor) else constant

        args: Any = fx.node.map_arg(node.args, value)
        kwargs: Any = fx.node.map_arg(node.kwargs, value)
        target = self._runner.target(operation.node)
        return leaf, getattr(args[0], target)(*args[1:], **kwargs) if isinstance(target, str) else target(
            *args, **kwargs
        )


def _through_weights(layer: Layer, given: Tensor, arriving: Tensor) -> Tensor:
    """The backward pass of a convolution or linear layer with |w| in place of w; batch norm is folded into w."""
    kernel = layer.weight.abs()
    if layer.is_linear:
        return arriving @ kernel.flatten(1)
    images, channels, height, width = given.shape
    (above, left), (rows, columns) = layer.offset, _padding(layer)
    padded = (images, channels, height + rows, width + columns)
    back: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
        padded, kernel, arriving, layer.stride, 0, layer.dilation, layer.shape.groups
    )
    return back[..., above : above + height, left : left + width]


def _padding(layer: Layer) -> tuple[int, int]:
    """Rows and columns of padding, on both sides together."""
    if layer.padding == "same":
        kernel = layer.weight.shape[2:]
        return layer.dilation[0] * (kernel[0] - 1), layer.dilation[1] * (kernel[1] - 1)
    return 2 * layer.offset[0], 2 * layer.offset[1]
