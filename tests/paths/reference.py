"""A slow extractor that mirrors the formulas of definitions 2, element by element, in plain Python.

It shares with the engine the recorded activations and the list of operations, nothing else: receptive fields, pooling
windows and origins are worked out anew from the modules' own settings.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import nn

from engine.network.operations import Kind
from engine.paths.extraction import EffectivePath


def select(contributions: list[tuple[int, float]], theta: float) -> list[int]:
    """The fewest k, largest first, whose sum reaches θ·s; only the largest where s ≤ 0."""
    ordered = sorted(contributions, key=lambda item: (-item[1], item[0]))
    total = 0.0
    for _, value in contributions:
        total += value
    if total <= 0:
        return [k for k, _ in ordered[:1]]
    chosen, reached = [], 0.0
    for k, value in ordered:
        if value <= 0:
            break
        chosen.append(k)
        reached += value
        if reached >= theta * total * (1 - 1e-12):
            break
    return chosen


def sign(value: float) -> float:
    return 1.0 if value >= 0 else -1.0


class ReferencePath:
    """The sets of one image: ``synapses``, ``weights`` and ``neurons`` by layer name."""

    def __init__(
        self, model: nn.Module, image: torch.Tensor, *, theta: float, rank: int = 1, last_layers: int | None = None
    ):
        extractor = EffectivePath(model, theta)
        self.theta = theta
        self.network = extractor.network(tuple(image.shape))
        self.modules = dict(self.network.runner.module.named_modules())
        self.graph = {node.name: node for node in self.network.runner.module.graph.nodes}
        self.values = {node: value[0].astype(np.float64) for node, value in extractor.record(image[None]).items()}
        layers = self.network.layers if last_layers is None else self.network.layers[-last_layers:]
        self.synapses = {name: set() for name in layers}
        self.weights = {name: set() for name in layers}
        self.neurons = {name: set() for name in layers}
        self.active: dict[str, set[tuple[int, ...]]] = defaultdict(set)
        logits = self.values[self.network.output.node]
        self.active[self.network.output.node].add(
            (sorted(range(len(logits)), key=lambda c: (-logits[c], c))[rank - 1],)
        )
        for op in reversed(self.network.operations.values()):
            if op.kind is Kind.LAYER and op.name not in self.synapses:
                continue
            for element in sorted(self.active[op.node]):
                self.explain(op, element)

    def module(self, op):
        node = self.graph[op.node]
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def explain(self, op, element):
        module = self.module(op)
        if op.kind is Kind.LAYER:
            self.explain_layer(op, element)
        elif op.kind in (Kind.MAX_POOL, Kind.AVERAGE_POOL):
            self.explain_pool(op, module, element)
        elif op.kind is Kind.ADD:
            z = sign(self.values[op.node][element])
            parts = [(i, z * self.values[node][element]) for i, node in enumerate(op.inputs)]
            for i in select(parts, self.theta):
                self.active[op.inputs[i]].add(element)
        elif op.kind is Kind.ROUTE:
            self.route_concatenation(op, element)
        elif op.kind is Kind.SAME_POSITION:
            shape = self.network.operations[op.inputs[0]].shape
            flat = np.ravel_multi_index(element, op.shape)
            self.active[op.inputs[0]].add(tuple(int(i) for i in np.unravel_index(flat, shape)))

    def route_concatenation(self, op, element):
        """The only rearranging step of the random nets that moves elements: torch.cat along the channels."""
        channel = element[0]
        for node in op.inputs:
            channels = self.network.operations[node].shape[0]
            if channel < channels:
                self.active[node].add((channel, *element[1:]))
                return
            channel -= channels

    @classmethod
    def of_rows(cls, extractor, image):
        """One that explains no element of itself: for a few rows of a network too large to be explained whole."""
        self = cls.__new__(cls)
        self.theta = extractor.theta
        self.network = extractor.network(tuple(image.shape))
        self.values = {node: value[0].astype(np.float64) for node, value in extractor.record(image[None]).items()}
        names = extractor.layers(tuple(image.shape))
        self.synapses, self.weights, self.neurons = ({name: set() for name in names} for _ in range(3))
        self.active = defaultdict(set)
        return self

    def explain_layer(self, op, element):
        layer = op.layer
        weight = layer.weight.double().numpy()
        out_channels, in_channels, kh, kw = weight.shape
        x = self.values[op.inputs[0]]
        if layer.is_linear:
            x, element = x[:, None, None], (*element, 0, 0)
        o, oy, ox = element
        z = sign(self.values[op.node].reshape(out_channels, layer.shape.out_height, -1)[o, oy, ox])
        group = o // (out_channels // layer.shape.groups)
        (sy, sx), (py, px), (dy, dx) = layer.stride, layer.padding, layer.dilation
        contributions, origin = [], {}
        for c in range(in_channels):
            for i in range(kh):
                for j in range(kw):
                    y, xx = oy * sy - py + i * dy, ox * sx - px + j * dx
                    if not (0 <= y < x.shape[1] and 0 <= xx < x.shape[2]):
                        continue
                    k = (c * kh + i) * kw + j
                    source = (group * in_channels + c, y, xx)
                    contributions.append((k, z * weight[o, c, i, j] * x[source]))
                    origin[k] = source[:1] if layer.is_linear else source
        neuron = (o * layer.shape.out_height + oy) * layer.shape.out_width + ox
        self.neurons[op.name].add(neuron)
        field = in_channels * kh * kw
        for k in select(contributions, self.theta):
            self.synapses[op.name].add(neuron * field + k)
            self.weights[op.name].add(o * field + k)
            self.active[op.inputs[0]].add(origin[k])

    def explain_pool(self, op, module, element):
        x, out = self.values[op.inputs[0]], self.values[op.node]
        c, oy, ox = element
        window = [
            (c, y, xx)
            for y in self.span(module, x.shape, out.shape, oy, 0)
            for xx in self.span(module, x.shape, out.shape, ox, 1)
        ]
        if op.kind is Kind.MAX_POOL:
            self.active[op.inputs[0]].update(w for w in window if x[w] == out[element])
            return
        parts = [(k, sign(out[element]) * x[w]) for k, w in enumerate(window)]
        self.active[op.inputs[0]].update(window[k] for k in select(parts, self.theta))

    @staticmethod
    def span(module, in_shape, out_shape, position, axis):
        size, out_size = in_shape[1 + axis], out_shape[1 + axis]
        if isinstance(module, nn.AdaptiveAvgPool2d):
            return range(position * size // out_size, -(-(position + 1) * size // out_size))
        begin = position * module.stride - module.padding
        return [p for p in range(begin, begin + module.kernel_size) if 0 <= p < size]


def assert_same(path, reference):
    for layer in path.layers:
        assert set(path.synapses[layer].tolist()) == reference.synapses[layer], layer
        assert set(path.weights[layer].tolist()) == reference.weights[layer], layer
        assert set(path.neurons[layer].tolist()) == reference.neurons[layer], layer
