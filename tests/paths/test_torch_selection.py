"""The torch operations that stand in for the kernel on a GPU: the same sets, here on the CPU."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import EffectivePath
from engine.paths import extraction, torch_selection
from engine.paths.layer_selection import Threads, select_in_layer
from engine.paths.torch_selection import select_by_torch
from tests.paths.nets import FACTORIES, SHAPE, build


def assert_same_on_every_layer(model, images, theta):
    extractor = EffectivePath(model, theta)
    network, activations = extractor.network(SHAPE), extractor.record(images)
    random = np.random.default_rng(0)
    for operation in network.operations.values():
        if operation.layer is None:
            continue
        source = activations[operation.inputs[0]]
        active = random.random((len(images), operation.size)) < 0.5
        marks = [np.zeros((len(images), source[0].size), bool) for _ in range(2)]
        given_ = (operation.layer, source, activations[operation.node], active, theta)
        with Threads() as threads:
            ids, begins = select_in_layer(*given_, marks[0], threads)()
        torch_ids, torch_begins = select_by_torch(*given_, marks[1])
        assert np.array_equal(ids, torch_ids)
        assert np.array_equal(begins, torch_begins)
        assert np.array_equal(*marks)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(FACTORIES)), st.floats(0.05, 1.0), st.integers(0, 2**31 - 1), st.sampled_from([60, 10**6])
)
def test_every_layer_selects_what_the_kernel_selects(name, theta, seed, together):
    images = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_selection, "TOGETHER", together)  # a few rows at a time, or all
        assert_same_on_every_layer(build(name, seed=seed % 5), images, theta)


def test_ties_and_sums_of_zero_are_settled_alike():
    for name in FACTORIES:
        model = build(name, seed=3)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_((parameter * 8).round().clamp(-2, 2))
        images = torch.randint(0, 3, (2, *SHAPE), generator=torch.Generator().manual_seed(1)) / 4
        assert_same_on_every_layer(model, images, 0.5)


def after_the_kernel(*arguments):
    selected = select_by_torch(*arguments[:-1])
    return lambda: selected


def test_a_whole_path_is_the_same(monkeypatch):
    model, images = build("branches"), torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(2))
    expected = EffectivePath(model).extract(images)
    monkeypatch.setattr(extraction, "select_in_layer", after_the_kernel)
    assert EffectivePath(model).extract(images) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_model_on_a_gpu_has_the_path_it_has_on_the_cpu():
    model, images = build("branches").double(), torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(2))
    expected = EffectivePath(model).extract(images)
    assert EffectivePath(model.cuda()).extract(images) == expected
