"""The card of a unit on Inspect, the maps beside the pointer, and where the evidence is."""

import json
import time

import numpy as np
import pytest

from dashboard.components.pictures import heat_pixels, outlined
from dashboard.pages.inspect import cards, ids
from engine.errors import InvalidInputError
from tests.dashboard.conftest import asked, call

QUERY = "?model=lenet5-digits&image=test:17&attack=pgd_linf&epsilon=0.2"
OUTPUTS = [(ids.UNIT_TITLE, "children"), (ids.UNIT_BODY, "children"), (ids.UNIT_CARD, "hidden")]


def card(client, search):
    """The card once it is there."""
    return asked(client, ids.UNIT_BODY, OUTPUTS, [(ids.SELECTION, "data", search)])


def pictures(response):
    return json.dumps(response[ids.UNIT_BODY]["children"]).count("data:image/png")


def test_a_unit_of_a_convolution_has_maps_regions_images_and_what_flows_in(client):
    response = card(client, f"{QUERY}&unit=conv2:3")
    assert response[ids.UNIT_CARD]["hidden"] is False
    assert response[ids.UNIT_TITLE]["children"] == "Unit 3 of conv2"
    assert pictures(response) == 2 + 2 + 5
    told = json.dumps(response[ids.UNIT_BODY]["children"])
    assert "conv1 " in told
    assert "Region of interest" in told


def test_a_unit_of_a_linear_layer_has_values_instead_of_maps(client):
    response = card(client, f"{QUERY}&unit=fc1:7")
    assert pictures(response) == 5
    told = json.dumps(response[ids.UNIT_BODY]["children"])
    assert "Region of interest" not in told
    assert "clean " in told


@pytest.mark.parametrize(("unit", "sentence"), [("conv9:1", "conv1, conv2, fc1"), ("conv1:6", "units 0 to 5; got 6")])
def test_units_that_do_not_exist_are_refused_in_the_card(client, unit, sentence):
    response = card(client, f"{QUERY}&unit={unit}")
    assert sentence in json.dumps(response[ids.UNIT_BODY]["children"])


def test_without_a_unit_the_card_is_out_of_sight(client):
    assert card(client, QUERY)[ids.UNIT_CARD]["hidden"] is True
    assert card(client, f"{QUERY}&unit=conv2")[ids.UNIT_CARD]["hidden"] is True  # wrong in the link: said at the top


def hover(client, customdata):
    outputs = [(ids.UNIT_HOVER, "show"), (ids.UNIT_HOVER, "bbox"), (ids.UNIT_HOVER, "children")]
    data = customdata and {"points": [{"customdata": customdata, "bbox": {"x0": 1, "x1": 2, "y0": 3, "y1": 4}}]}
    inputs = [(cards.GRAPH.part("graph"), "hoverData", data)]
    return call(client, outputs, inputs, [(ids.SELECTION, "data", QUERY)]).json["response"][ids.UNIT_HOVER]


def test_the_pointer_shows_maps_on_units_alone(client):
    shown = hover(client, ["conv1", 2, 1, 2, 3])
    assert shown["show"] is True
    assert shown["bbox"] == {"x0": 1, "x1": 2, "y0": 3, "y1": 4}
    assert json.dumps(shown["children"]).count("data:image/png") == 2
    assert hover(client, ["input", 0, 1, 2, 3])["show"] is False
    assert hover(client, ["conv2", 1, "conv1", 0, 1, 2, 3])["show"] is False  # a bundle
    assert hover(client, None)["show"] is False


def test_maps_are_those_of_the_model(services):
    selection = services.select(QUERY)
    maps = services.unit_views.maps(selection, "conv1", patience=30)
    view = services.inspections.inspect(selection)
    module = services.choices.get("lenet5-digits").classifier.module
    import torch

    both = torch.from_numpy(np.stack([view.clean.pixels, view.adversarial.pixels]))
    with torch.no_grad():
        expected = module.relu1(module.conv1(module.normalize(both))).numpy()
    assert maps.clean == pytest.approx(expected[0], abs=1e-5)
    assert maps.adversarial == pytest.approx(expected[1], abs=1e-5)
    with pytest.raises(InvalidInputError, match="got 6"):
        maps.require(6)


def test_the_strongest_images_are_those_with_the_highest_peak(services):
    selection = services.select(QUERY)
    profile = wait(lambda: services.unit_views.profile(selection.model, "conv1"))
    found = wait(lambda: services.unit_views.strongest(selection.model, "conv1", 4))
    assert found.indices.tolist() == profile.strongest[4].tolist()
    assert found.regions.shape == (5, 28, 28)
    assert found.regions.any(axis=(1, 2)).all()


def wait(get):
    from dashboard.services.computations import Pending

    for _ in range(100):
        try:
            return get()
        except Pending:
            time.sleep(0.2)
    raise AssertionError("never there")


def test_pictures_of_maps_and_regions():
    heat = heat_pixels(np.array([[0.0, 1.0], [-1.0, 5.0]]), 1.0)
    assert heat.shape == (3, 2, 2)
    assert (heat[:, 0, 0] == heat[:, 1, 0]).all()
    assert (heat[:, 0, 1] == heat[:, 1, 1]).all()
    assert not heat_pixels(np.zeros((2, 2)), 0.0)[0].any()
    region = np.zeros((28, 28), bool)
    region[3:6, 3:6] = True
    drawn = outlined(np.zeros((1, 28, 28)), region)
    assert drawn.shape == (3, 112, 112)
    line = drawn.any(axis=0)
    assert line[12:24, 12:24].sum() == line.sum() == 44
    assert not outlined(np.zeros((3, 200, 150)), np.zeros((200, 150), bool)).any()
