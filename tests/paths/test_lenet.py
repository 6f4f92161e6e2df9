"""LeNet-5 on the real MNIST: the slow extractor's sets, and the reference figures of Qiu et al. 2019."""

import numpy as np
import pytest

from engine import EffectivePath, compute_class_paths
from tests.paths.reference import ReferencePath, assert_same


@pytest.mark.parametrize(("rank", "theta"), [(1, 0.5), (2, 0.5), (1, 0.1), (1, 0.9), (2, 1.0)])
def test_sets_are_those_of_the_slow_extractor(lenet, mnist, rank, theta):
    for image in mnist.test.images([3, 1234]):
        path = EffectivePath(lenet.module, theta).extract(image[None], rank=rank)[0]
        assert_same(path, ReferencePath(lenet.module, image, theta=theta, rank=rank))


@pytest.mark.slow
def test_reference_figures_on_sixty_thousand_images(lenet, mnist):
    class_paths = compute_class_paths(lenet.module, mnist.train, lenet.classes)
    assert class_paths.counts.sum() > 59_000
    assert class_paths.overall().density() == pytest.approx(0.130, abs=0.03)
    matrix = class_paths.similarity()
    np.fill_diagonal(matrix, np.nan)
    assert np.nanmean(matrix) == pytest.approx(0.456, abs=0.03)
    assert np.nanmean(matrix, axis=1).argmin() == 1
    assert set(np.unravel_index(np.nanargmax(matrix), matrix.shape)) == {5, 8}
    rows = np.arange(1000)
    extracted = EffectivePath(lenet.module).extract(mnist.test.images(rows))
    right = [p for p, label in zip(extracted, mnist.test.labels[rows], strict=True) if p.target == label]
    assert np.mean([p.overlap(class_paths.paths[p.target]) for p in right]) > 0.99
