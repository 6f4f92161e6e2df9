"""The route of one image and its interventions: what the engine says of them, and what is refused."""

import numpy as np
import pytest
import torch

from dashboard.services.interventions import NotConnectedError
from engine.errors import InvalidInputError
from engine.network.trace import trace
from engine.paths.path import n_common
from engine.route.live import intervene
from engine.route.routes import instance_routes
from tests.dashboard.answers import there

QUERY = "?model=lenet5-digits&image=test:3&attack=pgd_linf&epsilon=0.1"


@pytest.fixture(scope="module")
def view(services):
    """An image that the attack misleads."""
    found = there(lambda: services.inspections.inspect(services.select(QUERY)))
    assert found.clean.ranking[0] == found.true_class != found.adversarial.ranking[0]
    return found


def batch(pixels):
    return torch.from_numpy(pixels)[None]


def test_the_layers_are_the_convolutions_after_their_activation(services):
    layers = there(lambda: services.interventions.layers("lenet5-digits"))
    assert [(layer.name, layer.layer, layer.units) for layer in layers] == [
        ("conv1:act", "conv1", 6),
        ("conv2:act", "conv2", 16),
    ]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_route_is_that_of_the_attacked_copy_with_the_true_class(services, view, share):
    selection = services.select(f"{QUERY}&instance={share}")
    route = there(lambda: services.interventions.route(selection))
    module = services.choices.get("lenet5-digits").classifier.module
    labels = torch.tensor([view.true_class])
    expected = instance_routes(module, batch(view.adversarial.pixels), labels, share=share).chosen
    assert {layer: units.tolist() for layer, units in route.items()} == {
        name.removesuffix(":act"): np.flatnonzero(chosen[0]).tolist() for name, chosen in expected.items()
    }


@pytest.mark.parametrize(
    ("act", "factor"), [("transplant", 0.0), ("deactivate", 0.0), ("deactivate", 0.4), ("weaken", 0.25)]
)
def test_what_the_model_says_under_an_intervention_is_what_the_engine_says(services, view, act, factor):
    selection = services.select(f"{QUERY}&picked=conv1:0.5,conv2:2.13&act={act}&factor={factor}")
    changed = there(lambda: services.interventions.intervened(selection))
    chosen = {"conv1:act": np.array([0, 5]), "conv2:act": np.array([2, 13])}
    module = services.choices.get("lenet5-digits").classifier.module
    expected = intervene(module, batch(view.clean.pixels), batch(view.adversarial.pixels), chosen, act, factor)
    for found, logits in ((changed.clean, expected.clean_after), (changed.adversarial, expected.adversarial_after)):
        assert found == pytest.approx(torch.softmax(torch.from_numpy(logits[0]), 0).numpy(), abs=1e-9)
        assert found.sum() == pytest.approx(1)


def test_a_transplant_of_every_unit_undoes_the_attack_whatever_the_factor(services, view):
    everything = "conv1:0.1.2.3.4.5,conv2:" + ".".join(map(str, range(16)))
    for factor in (0, 1):  # of damping, not of a transplant
        selection = services.select(f"{QUERY}&picked={everything}&factor={factor}")
        changed = there(lambda selection=selection: services.interventions.intervened(selection))
        assert changed.adversarial == pytest.approx(view.clean.probabilities, abs=1e-4)
        assert changed.clean == pytest.approx(view.adversarial.probabilities, abs=1e-4)


def test_a_factor_of_one_changes_neither_answer_nor_path(services, view):
    selection = services.select(f"{QUERY}&picked=conv2:1.2.3&act=deactivate&factor=1")
    changed = there(lambda: services.interventions.intervened(selection))
    assert changed.adversarial == pytest.approx(view.adversarial.probabilities, abs=1e-6)
    change = there(lambda: services.interventions.path_change(selection))
    assert change.before == change.after
    assert (change.counts[:, [0, 2]] == 0).all()


def test_the_paths_are_counted_layer_by_layer(services, view):
    selection = services.select(f"{QUERY}&picked=conv1:0.5,conv2:2.6.13.14")
    change = there(lambda: services.interventions.path_change(selection))
    assert change.before.target == view.adversarial.ranking[0]
    changed = there(lambda: services.interventions.intervened(selection))
    assert change.after.target == changed.adversarial.argmax()
    for layer, (only_before, both, only_after) in zip(change.before.layers, change.counts.tolist(), strict=True):
        before, after = change.before.synapses[layer], change.after.synapses[layer]
        assert (only_before + both, both + only_after) == (len(before), len(after))
        assert both == n_common(before, after)
    assert change.counts[:, 2].sum() > 0


def test_without_units_there_is_no_intervention(services, view):
    assert services.interventions.intervened(services.select(QUERY)) is None
    assert services.interventions.path_change(services.select(QUERY)) is None


@pytest.mark.parametrize("picked", ["conv9:1", "conv2:16", "conv1:act"])
def test_units_that_the_model_does_not_have_are_refused(services, view, picked):
    parsed = services.parse(f"{QUERY}&picked={picked}")
    if parsed.errors:
        assert list(parsed.errors) == ["picked"]
        return
    for ask in (services.interventions.intervened, services.interventions.path_change):
        with pytest.raises(InvalidInputError, match="conv"):
            there(lambda ask=ask: ask(parsed.selection))


def test_units_without_weights_between_them_cannot_be_weakened(services, view):
    selection = services.select(f"{QUERY}&picked=conv2:1.2&act=weaken")
    with pytest.raises(NotConnectedError, match="no weights"):
        there(lambda: services.interventions.intervened(selection))


def test_the_split_maps_have_one_scale_and_the_units_of_the_route(services, view):
    selection = services.select(QUERY)
    maps = there(lambda: services.interventions.split_maps(selection))
    assert maps.layer == "conv2"
    assert maps.units.tolist() == there(lambda: services.interventions.route(selection))["conv2"].tolist()
    assert maps.classes.tolist() == [view.clean.ranking[0], view.adversarial.ranking[0]]
    assert maps.chosen.shape == maps.others.shape == (2, 28, 28)
    assert maps.scale == pytest.approx(max(maps.chosen.max(), maps.others.max()))


def test_the_model_itself_is_not_touched(services, view):
    module = services.choices.get("lenet5-digits").classifier.module
    before = trace(module, (1, 28, 28)).state
    for act in ("transplant", "deactivate", "weaken"):
        selection = services.select(f"{QUERY}&picked=conv1:1,conv2:3&act={act}")
        there(lambda selection=selection: services.interventions.intervened(selection))
    assert trace(module, (1, 28, 28)).state == before
    logits = module(batch(view.adversarial.pixels))[0].detach()
    assert torch.softmax(logits.double(), 0).numpy() == pytest.approx(view.adversarial.probabilities, abs=1e-6)
