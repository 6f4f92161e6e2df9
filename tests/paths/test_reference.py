"""The compiled extraction gives the very sets of the slow one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import EffectivePath
from tests.paths.nets import FACTORIES, SHAPE, build
from tests.paths.reference import ReferencePath, assert_same


@pytest.mark.parametrize("theta", [0.1, 0.3, 0.5, 0.75, 0.9, 1.0])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("name", FACTORIES)
def test_random_nets_give_the_reference_sets(name, rank, theta):
    model = build(name, seed=rank)
    images = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(int(theta * 100)))
    for path, image in zip(EffectivePath(model, theta).extract(images, rank=rank), images, strict=True):
        assert_same(path, ReferencePath(model, image, theta=theta, rank=rank))


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("sparse", [True, False])
def test_integer_weights_with_many_ties_give_the_reference_sets(name, sparse):
    """Ties, zero sums and zero values are the rule here, not the exception."""
    model = build(name, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 8).round().clamp(-2, 2))
    images = torch.randint(0, 2 if sparse else 5, (2, *SHAPE), generator=torch.Generator().manual_seed(1)) / 4
    for image in images:  # alone: where values tie, the rounding of another batch size would break the ties another way
        path = EffectivePath(model, 0.5).extract(image[None])[0]
        assert_same(path, ReferencePath(model, image, theta=0.5))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_partial_paths_give_the_reference_sets(n):
    model = build("branches")
    image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(4))
    path = EffectivePath(model, 0.5, last_layers=n).extract(image[None])[0]
    assert len(path.layers) == n
    assert_same(path, ReferencePath(model, image, theta=0.5, last_layers=n))


@given(
    name=st.sampled_from(sorted(FACTORIES)),
    size=st.integers(1, 6),
    theta=st.floats(0.05, 1.0),
    rank=st.integers(1, 5),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=60, deadline=None)
def test_a_batch_gives_what_its_images_give_alone(name, size, theta, rank, seed):
    images = torch.rand(size, *SHAPE, generator=torch.Generator().manual_seed(seed))
    extractor = EffectivePath(build(name), theta)
    together = extractor.extract(images, rank=rank)
    assert together == [extractor.extract(image[None], rank=rank)[0] for image in images]


def test_a_given_class_is_its_rank():
    model = build("strided")
    images = torch.rand(3, *SHAPE)
    order = np.argsort(-model(images).detach().numpy(), axis=1)
    for n in range(3):
        ranked = EffectivePath(model).extract(images[n : n + 1], rank=3)[0]
        assert ranked.target == order[n, 2]
        assert ranked == EffectivePath(model).extract(images[n : n + 1], target=int(order[n, 2]))[0]
