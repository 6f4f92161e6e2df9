"""Tracing and recording: the folded graph computes the model's own logits and leaves the model alone."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from engine import EffectivePath
from engine.errors import InvalidInputError, UnsupportedOperationError
from engine.network.operations import Kind
from engine.network.trace import trace
from engine.paths import extraction
from engine.paths.layer_selection import Threads
from tests.paths.nets import FACTORIES, SHAPE, build


@pytest.mark.parametrize("name", FACTORIES)
def test_recorded_logits_are_the_models(name):
    model = build(name)
    images = torch.rand(4, *SHAPE)
    extractor = EffectivePath(model)
    logits = extractor.record(images)[extractor.network(SHAPE).output.node]
    np.testing.assert_allclose(logits, model(images).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", FACTORIES)
def test_the_model_is_left_as_it_was(name, fails):
    model = build(name)
    model.train()
    next(iter(model.children())).eval()
    model.zero_grad(set_to_none=True)
    before = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    images = torch.rand(2, *SHAPE)
    if fails:
        with pytest.raises(InvalidInputError):
            EffectivePath(model).extract(images, rank=99)
        with pytest.raises(InvalidInputError):
            EffectivePath(model).extract(torch.rand(2, 7, 11, 11))
    else:
        EffectivePath(model).extract(images)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())


def test_batch_norm_directly_after_a_convolution_is_folded():
    network = trace(build("batch norm"), SHAPE)
    assert network.layers == ("0", "3", "8")
    norms = [op for op in network.operations.values() if op.node in ("_1", "_5")]
    assert [op.kind for op in norms] == [Kind.SAME_POSITION, Kind.SAME_POSITION]
    assert network.runner.folded == frozenset({"_1"})


def test_a_module_used_twice_is_two_layers():
    assert trace(build("branches"), SHAPE).layers == ("left", "right", "shared", "shared#2", "head")


def test_new_weights_are_seen():
    model = build("strided")
    images = torch.rand(1, *SHAPE)
    extractor = EffectivePath(model)
    extractor.extract(images)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-1.3)
    assert extractor.extract(images)[0] == EffectivePath(copy.deepcopy(model)).extract(images)[0]


class Rearranged(nn.Module):
    """Every rearranging step in a row; the head reads element 5 alone."""

    def __init__(self, step):
        super().__init__()
        self.step = step
        self.head = nn.Linear(1, 2, bias=False)

    def forward(self, x):
        return self.head(self.step(x).flatten(1)[:, 5:6])


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("permute", lambda x: x.permute(0, 2, 3, 1)),
        ("transpose", lambda x: x.transpose(2, 3)),
        ("pad", lambda x: torch.nn.functional.pad(x, (1, 1, 1, 1), value=3.0)),
        ("reflect", lambda x: torch.nn.functional.pad(x, (2, 0, 1, 0), mode="reflect")),
        ("chunk", lambda x: x.chunk(2, dim=1)[1]),
        ("split and join", lambda x: torch.cat(x.split([1, 3], dim=1)[::-1], dim=1)),
        ("slice", lambda x: x[:, 1:, ::2, 1:]),
        ("stack", lambda x: torch.stack([x, x * 2], dim=1)),
        ("view", lambda x: x.view(x.size(0), -1)),
        ("reshape", lambda x: x.reshape(x.shape[0], 2, -1)),
        ("shuffle", lambda x: torch.channel_shuffle(x, 2)),
        ("unsqueeze", lambda x: x.unsqueeze(1).squeeze(1)),
        ("normalise", lambda x: (x - 0.5) / 0.25 * 2.0),
    ],
)
def test_rearranging_steps_lead_to_where_the_element_came_from(name, step):
    model = Rearranged(step)
    shape = (4, 3, 4)
    values = torch.arange(1, 49).float().reshape(1, *shape) / 64
    read = step(values).flatten(1)[0, 5]
    if name == "normalise":
        read = read / 8 + 0.5
    expected = [] if name == "pad" and read == 3.0 else [int((read * 64).round()) - 1]
    network = trace(model, shape)
    active = {network.output.node: np.ones((1, 2), bool)}
    record = EffectivePath(model).record(values)
    for op in reversed(network.operations.values()):
        mask = active.get(op.node)
        for node in op.inputs:
            active.setdefault(node, np.zeros((1, network.operations[node].size), bool))
        if op.kind is Kind.LAYER:
            extraction._pass_layer(op, record, mask, active, 0.5, Threads())
        elif mask is not None:
            extraction._PASSES[op.kind](op, record, mask, active, 0.5)
    image = next(iter(network.operations))
    assert np.flatnonzero(active[image][0]).tolist() == expected


class Gated(nn.Module):
    """A squeeze-and-excitation block: the gate is a weight, the path goes through what it multiplies."""

    def __init__(self):
        super().__init__()
        self.squeeze = nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        gate = torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))
        return self.head((x * gate).mean([2, 3]))


def test_the_path_passes_a_gate_but_does_not_enter_it():
    network = trace(Gated(), (2, 4, 4))
    assert network.layers == ("head",)


@pytest.mark.parametrize(
    ("operation", "forward"),
    [
        ("softmax", lambda self, x: self.head(torch.softmax(x.flatten(1), 1))),
        ("mul", lambda self, x: self.head((x * (x + 1)).flatten(1))),
        ("sub", lambda self, x: self.head((x - torch.relu(x)).flatten(1))),
        ("mean", lambda self, x: self.head(x.mean(1).flatten(1))),
    ],
)
def test_an_operation_without_a_rule_is_named(operation, forward):
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.LazyLinear(2)

    Strange.forward = forward
    model = Strange()
    model(torch.zeros(1, 2, 4, 4))
    with pytest.raises(UnsupportedOperationError, match=operation):
        trace(model, (2, 4, 4))


def test_an_unknown_module_is_named():
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.InstanceNorm2d(4), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(UnsupportedOperationError, match=r"InstanceNorm2d in 1 "):
        trace(model, (2, 4, 4))


def test_a_model_that_branches_on_values_is_refused():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedOperationError, match=r"cannot be traced by torch\.fx"):
        trace(Branching(), (1, 2, 2))


def test_tracing_does_not_disturb_models_on_other_threads():
    model, other = build("branches"), build("residual")
    images = torch.rand(2, *SHAPE)
    expected = other(images)
    stop, wrong = threading.Event(), []

    def run_on():
        while not stop.is_set():
            result = other(images)
            if not isinstance(result, torch.Tensor) or not torch.allclose(result, expected):
                wrong.append(result)

    thread = threading.Thread(target=run_on)
    thread.start()
    with ThreadPoolExecutor(4) as pool:
        networks = list(pool.map(lambda _: trace(model, SHAPE), range(24)))
    stop.set()
    thread.join()
    assert not wrong
    assert {network.layers for network in networks} == {("left", "right", "shared", "shared#2", "head")}
    assert isinstance(model(images), torch.Tensor)


def test_logits_that_are_not_finite_are_refused():
    model = build("strided")
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInputError, match="image 0 of the batch gave NaN"):
        EffectivePath(model).extract(torch.rand(2, *SHAPE))


@pytest.mark.parametrize(
    "images", [torch.rand(3, 11, 11), torch.full((1, *SHAPE), 255.0), torch.zeros((1, *SHAPE), dtype=torch.uint8)]
)
def test_images_of_the_wrong_form_are_refused(images):
    with pytest.raises(InvalidInputError, match="images: expected"):
        EffectivePath(build("strided")).extract(images)


class Hooked(nn.Module):
    """Calls its activation by keyword."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(input=self.layer(x.flatten(1)))


def test_an_activation_called_by_keyword_or_with_a_hook_does_what_it_does_in_the_model():
    model = Hooked()
    image = torch.rand(1, 1, 2, 2)
    assert len(EffectivePath(model).extract(image)) == 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model[2].register_forward_hook(lambda _module, _inputs, output: output + 1)
    network = trace(model, (1, 2, 2))
    with torch.no_grad():
        assert torch.equal(network.runner.run(image, lambda *_: None), model(image))
