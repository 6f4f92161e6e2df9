"""Class paths over a training, on a net that is worked out by hand."""

import json

import pytest
import torch

from engine.errors import Cancelled, CheckpointError, InvalidInputError
from engine.hardening.phases import training_phases
from engine.network.checkpoint import save_checkpoint
from tests.hardening.by_hand import BRIGHT, DARK, classifier, data, net

IMAGES = data(BRIGHT, DARK, BRIGHT, DARK)


@pytest.fixture
def files(tmp_path):
    """After epoch 1 all is dark to the net, after epoch 2 it knows both classes."""
    found = {}
    for epoch, bias in ((1, 9.0), (2, 0.2)):
        found[epoch] = tmp_path / f"epoch-{epoch:03d}.safetensors"
        save_checkpoint(net(bias), found[epoch], {})
    return found


def test_values_worked_out_by_hand(files):
    first, second = training_phases(classifier(), IMAGES, dict(reversed(files.items()))).phases
    assert (first.epoch, first.accuracy, first.images) == (1, 0.5, 2)
    assert first.density == 2 / 8  # the path of the dark images alone: one synapse in each layer
    assert first.similarity.size == 0  # no pair of classes
    assert (second.epoch, second.accuracy, second.images) == (2, 1.0, 4)
    assert second.density == 3 / 8
    assert second.density_per_layer == {"1": 1 / 4, "2": 2 / 4}
    assert second.similarity.tolist() == [pytest.approx(1 / 3)]


def test_the_model_is_left_as_it_was_and_the_report_is_plain(files):
    model = classifier(bias=0.7)
    found = training_phases(model, IMAGES, files, n_images=3, held_out=2)
    assert model.module[2].bias[1].item() == pytest.approx(0.7)
    report = json.loads(json.dumps(found.report(), allow_nan=False))
    assert (report["images"], report["held_out"]) == (3, 2)
    assert [phase["epoch"] for phase in report["phases"]] == [1, 2]


def test_what_cannot_be_looked_at_is_refused(files, tmp_path):
    with pytest.raises(InvalidInputError, match="got none"):
        training_phases(classifier(), IMAGES, {})
    with pytest.raises(CheckpointError):
        training_phases(classifier(), IMAGES, {1: tmp_path / "nothing.safetensors"})
    broken = net()
    with torch.no_grad():
        broken[1].weight[0, 0] = float("nan")
    save_checkpoint(broken, files[2], {})
    with pytest.raises(InvalidInputError, match="epoch 2: expected finite weights"):
        training_phases(classifier(), IMAGES, files)


def test_it_can_be_stopped(files):
    def stop(fraction, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        training_phases(classifier(), IMAGES, files, progress=stop)
