"""Features of a batch against the paths of its images, one by one."""

import numpy as np
import pytest
import torch

from engine import EffectivePath
from engine.detection import features as module
from engine.detection.features import path_features
from engine.errors import Cancelled, InvalidInputError
from tests.paths.nets import build


def expected(model, images, class_paths, part, last_layers):
    rows = []
    for image in images:
        row = []
        for rank in (1, 2):
            path = EffectivePath(model, class_paths.theta).extract(image[None], rank=rank)[0]
            kept = path.layers[-last_layers:] if last_layers else path.layers
            shares = path.overlap_per_layer(class_paths.paths[path.target], part)
            row += [shares[layer] for layer in kept]
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("part", ["synapses", "weights"])
@pytest.mark.parametrize("last_layers", [None, 2])
@pytest.mark.parametrize("dense", [True, False])
def test_they_are_the_overlaps_of_both_paths(classifier, digits, class_paths, monkeypatch, part, last_layers, dense):
    monkeypatch.setattr(module, "BATCH", 4)
    if not dense:
        monkeypatch.setattr(module, "DENSE_BYTES", 0)
    images = digits.test.images(range(10))
    found = path_features(classifier.module, images, class_paths, part=part, last_layers=last_layers)
    np.testing.assert_allclose(found.values, expected(classifier.module, images, class_paths, part, last_layers))
    assert len(found.names) == found.values.shape[1] == 2 * len(found.layers)
    assert (found.predictions[:, 0] == classifier.module(images).argmax(1).numpy()).all()


def test_class_paths_of_another_model_are_refused(class_paths):
    with pytest.raises(InvalidInputError, match="class_paths"):
        path_features(build("strided"), torch.rand(1, 3, 11, 11), class_paths)


def test_it_can_be_stopped(classifier, digits, class_paths):
    def stop(fraction, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        path_features(classifier.module, digits.test.images(range(3)), class_paths, progress=stop)
