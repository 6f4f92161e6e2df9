"""Bundles worked out by hand."""

import numpy as np
import pytest

from dashboard.figures.bundles import (
    ADVERSARIAL,
    CLEAN,
    INPUT,
    SHARED,
    categories,
    decode,
    feeding_layer,
    layer_bundles,
)
from tests.dashboard.figures.paths_by_hand import LENET, Shape, linear, path_of


def source(shapes, index):
    return feeding_layer(tuple(shapes), shapes, index)


def test_decode_convolution():
    # 2x2 outputs a channel, K = 3 channels x 1x2 kernel = 6.
    # Output channel 1, y 1, x 0 is neuron 6; channel 2, offset 1 is k 5.
    shape = Shape(2, 2, 2, 3, 1, 2)
    assert [unit.tolist() for unit in decode(np.array([0, 6 * 6 + 5]), shape)] == [[0, 2], [0, 1]]


def test_decode_groups():
    # 4 outputs in 2 groups of 3 inputs: output 2 is in the second group, whose channel 1 is input 4.
    shape = Shape(4, 1, 1, 3, 1, 1, groups=2)
    assert [unit.tolist() for unit in decode(np.array([2 * 3 + 1]), shape)] == [[4], [2]]


def test_decode_after_flatten():
    # 400 inputs are 16 channels of 25 elements.
    assert [unit.tolist() for unit in decode(np.array([3 * 400 + 74]), linear(120, 400), 25)] == [[2], [3]]


def test_decode_agrees_with_the_formula_everywhere():
    shape = Shape(4, 3, 2, 2, 2, 3, groups=2)
    expected = [
        (o // 2 * 2 + c, o) for o in range(4) for _y in range(3) for _x in range(2) for c in range(2) for _k in range(6)
    ]
    got = decode(np.arange(shape.synapse_count), shape)
    assert list(zip(*(unit.tolist() for unit in got), strict=True)) == expected


def test_lenet_is_a_chain():
    found = [source(LENET, index) for index in range(5)]
    assert found == [(INPUT, 1), ("conv1", 1), ("conv2", 25), ("fc1", 1), ("fc2", 1)]


def test_residual_block_finds_the_nearest_fitting_layer():
    shapes = {
        "conv1": Shape(4, 8, 8, 3, 3, 3),
        "block.conv1": Shape(8, 4, 4, 4, 3, 3),
        "block.conv2": Shape(8, 4, 4, 8, 3, 3),
        "block.downsample": Shape(8, 4, 4, 4, 1, 1),
        "after_concat": Shape(8, 4, 4, 20, 1, 1),
        "fc": linear(10, 8),
    }
    found = [source(shapes, index)[0] for index in range(6)]
    assert found == [INPUT, "conv1", "block.conv1", "conv1", None, "after_concat"]


def test_counts_of_two_paths():
    # Linear 3 -> 2: synapse = out * 3 + in. Convolution 1 -> 3 on 1x1 with two kernel elements: synapse = out * 2 + j.
    shapes = {"conv": Shape(3, 1, 1, 1, 1, 2), "fc": linear(2, 3)}
    clean = path_of(shapes, {"conv": [0, 1, 2], "fc": [0, 2]})
    adversarial = path_of(shapes, {"conv": [1, 4], "fc": [0, 5]})
    conv, fc = layer_bundles(clean, adversarial)
    assert (conv.source, conv.in_unit.tolist(), conv.out_unit.tolist()) == (INPUT, [0, 0, 0], [0, 1, 2])
    assert conv.counts.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert (fc.source, fc.in_unit.tolist(), fc.out_unit.tolist()) == ("conv", [0, 2, 2], [0, 0, 1])
    assert fc.counts.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_counts_add_up_to_the_synapses():
    generator = np.random.default_rng(0)
    shapes = {"conv": Shape(4, 5, 5, 3, 3, 3)}
    ids = [sorted(generator.choice(shapes["conv"].synapse_count, 500, replace=False).tolist()) for _ in range(2)]
    (bundles,) = layer_bundles(*(path_of(shapes, {"conv": chosen}) for chosen in ids))
    both = len(set(ids[0]) & set(ids[1]))
    assert bundles.counts.sum(axis=0).tolist() == [500 - both, 500 - both, both]


def test_one_path_and_an_empty_layer():
    shapes = {"fc": linear(2, 3)}
    (one,) = layer_bundles(path_of(shapes, {"fc": [4]}), None)
    assert one.counts.tolist() == [[1, 0, 0]]
    (empty,) = layer_bundles(path_of(shapes, {"fc": []}), None)
    assert empty.counts.shape == (0, 3)


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ((3, 0, 0), CLEAN),
        ((0, 2, 0), ADVERSARIAL),
        ((0, 0, 1), SHARED),
        ((1, 0, 1), SHARED),
        ((5, 1, 4), CLEAN),
        ((1, 5, 4), ADVERSARIAL),
        ((5, 5, 0), SHARED),
    ],
)
def test_categories(counts, kind):
    assert categories(np.array([counts])).tolist() == [kind]
