"""Routes of images and of a model: counting, batches, what is refused, and that the model stays as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import Cancelled, InvalidInputError
from engine.network.catalogue import build_model
from engine.route.experiments import weakening
from engine.route.gradients import unit_gradients
from engine.route.routes import instance_routes, model_route
from tests.route.nets import build, images, joined

LABELS = np.array([0, 1, 2, 1, 0, 2, 2])


def test_a_batch_gives_what_its_images_give_one_by_one(monkeypatch):
    model, batch = build("batch norm"), images(7)
    whole = instance_routes(model, batch, LABELS)
    monkeypatch.setattr("engine.route.layers.BATCH_IMAGES", 3)
    parts = [instance_routes(model, batch, LABELS)]
    single = [instance_routes(model, image[None], [label]) for image, label in zip(batch, LABELS, strict=True)]
    for found in (parts, single):
        for name in whole.layers:
            np.testing.assert_array_equal(np.concatenate([each.chosen[name] for each in found]), whole.chosen[name])
            for mapping in ("influence", "gradients"):
                joint = np.concatenate([getattr(each, mapping)[name] for each in found])
                np.testing.assert_allclose(joint, getattr(whole, mapping)[name], rtol=1e-9)


def test_the_route_of_a_model_counts_the_routes_of_images():
    model, batch = build("plain"), images(7)
    found, single = (
        model_route(model, batch, LABELS, share=0.4, kept=0.5),
        instance_routes(model, batch, LABELS, share=0.4),
    )
    assert found.n_images == 7
    assert [layer.name for layer in found.layers] == list(single.layers)
    for layer in found.layers:
        times = single.chosen[layer.name].sum(axis=0)
        np.testing.assert_allclose(layer.occurrence, times / 7)
        best = sorted(range(layer.units), key=lambda unit: (-times[unit], unit))
        assert layer.order.tolist() == best
        assert layer.chosen.tolist() == sorted(best[: -(-layer.units // 2)])
        np.testing.assert_allclose(layer.gradients, single.gradients[layer.name].mean(axis=0), rtol=1e-9)
        assert layer.mean_occurrence == layer.occurrence[layer.chosen].mean()
    assert found.chosen["0:act"].dtype == np.int64
    assert found.sizes == {"0:act": 6, "3:act": 5, "5:act": 4}


def test_images_in_batches_give_the_same_route_and_are_read_one_batch_at_a_time():
    model, batch = build("plain"), images(7)
    held = []

    def given():
        for first in (0, 3, 6):
            held.append(first)
            yield batch[first : first + 3], LABELS[first : first + 3]

    seen = []
    found = model_route(model, given(), progress=lambda fraction, message: seen.append((fraction, len(held))))
    whole = model_route(model, batch, LABELS)
    assert [count for _, count in seen] == [1, 2, 3]
    assert found.n_images == 7
    for one, other in zip(found.layers, whole.layers, strict=True):
        np.testing.assert_array_equal(one.order, other.order)
        np.testing.assert_allclose(one.gradients, other.gradients, rtol=1e-9)


def test_what_gives_no_route_is_refused():
    model = build("plain")
    with pytest.raises(InvalidInputError, match="at least one batch"):
        model_route(model, [])
    with pytest.raises(InvalidInputError, match="labels"):
        model_route(model, images(2))
    with pytest.raises(InvalidInputError, match="labels"):
        model_route(model, [(images(2), [0, 1])], [0, 1])
    with pytest.raises(InvalidInputError, match="one shape"):
        model_route(model, [(images(2), [0, 1]), (torch.rand(1, 2, 9, 9), [0])])
    with pytest.raises(InvalidInputError, match="kept"):
        model_route(model, images(2), [0, 1], kept=0)
    with pytest.raises(InvalidInputError, match=r"\[0, 1\]"):
        instance_routes(model, images(2) + 1, [0, 1])


class Blocked(nn.Module):
    """A model whose answer does not depend on the image as far as gradients know."""

    def __init__(self):
        super().__init__()
        self.body = build("plain")

    def forward(self, x):
        return self.body(x).detach()


def test_a_model_that_cuts_gradients_is_refused():
    with pytest.raises(InvalidInputError, match="cuts the gradient"):
        instance_routes(Blocked(), images(1), [0])


def _state(model):
    return (
        [(name, module.training, len(module._forward_hooks), len(module._backward_hooks)) for name, module in
         model.named_modules()],
        {name: value.clone() for name, value in model.state_dict().items()},
        [(parameter.grad, parameter.requires_grad) for parameter in model.parameters()],
    )  # fmt: skip


def _stop(fraction, message):
    raise Cancelled("stop")


def _fail(fraction, message):
    raise RuntimeError("a fault of the caller")


@pytest.mark.parametrize(("progress", "error"), [(None, None), (_stop, Cancelled), (_fail, RuntimeError)])
@pytest.mark.parametrize("work", [instance_routes, model_route, unit_gradients])
def test_the_model_stays_as_it_was(work, progress, error):
    model = joined().train()
    model.left.eval()
    modes, weights, gradients = _state(model)
    if error is None:
        work(model, images(3), [0, 1, 2])
    else:
        with pytest.raises(error):
            work(model, images(3), [0, 1, 2], progress=progress)
    modes_after, weights_after, gradients_after = _state(model)
    assert modes_after == modes
    assert gradients_after == gradients
    assert all(torch.equal(weights[name], value) for name, value in weights_after.items())


def test_it_works_inside_inference_mode_and_on_gradients_switched_off():
    model, batch = build("batch norm"), images(2)
    expected = instance_routes(model, batch, [0, 1])
    with torch.inference_mode():
        found = instance_routes(model, images(2), [0, 1])
    with torch.no_grad():
        again = instance_routes(model, batch, [0, 1])
    for name in expected.layers:
        np.testing.assert_array_equal(found.influence[name], expected.influence[name])
        np.testing.assert_array_equal(again.influence[name], expected.influence[name])


@pytest.mark.parametrize(
    ("name", "layers"),
    [("lenet5", 2), ("alexnet32", 5), ("vgg16_32", 13), ("vgg16_narrow", 13), ("resnet18_32", 20)],
)
def test_every_architecture_of_the_paper_has_a_route(name, layers):
    torch.manual_seed(0)
    model = build_model(name)
    batch = torch.rand(2, *((1, 28, 28) if name == "lenet5" else (3, 32, 32)))
    found = model_route(model, batch, [1, 2])
    assert len(found.layers) == layers
    assert all(0 < len(layer.chosen) < layer.units for layer in found.layers)
    assert all(layer.occurrence.max() > 0 for layer in found.layers)


def test_experiments_leave_the_model_as_it_was_too(model, pairs, route):
    modes, weights, gradients = _state(model)
    with pytest.raises(Cancelled):
        weakening(model, pairs, route.chosen, progress=_stop)
    weakening(model, pairs, route.chosen, betas=(0.5,), draws=1)
    assert _state(model)[0] == modes
    assert _state(model)[2] == gradients
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
