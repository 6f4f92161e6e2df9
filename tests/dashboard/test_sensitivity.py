"""The Sensitivity page's callbacks over a small study that a job has run."""

import base64
import copy
import json
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest

from dashboard.components.figure_card import Nothing
from dashboard.pages.sensitivity import cards, words
from dashboard.pages.sensitivity.page import PAGE
from dashboard.pages.sensitivity.seen import least_sensitive
from dashboard.pages.sensitivity.view import view_or_wait
from dashboard.pages.unit_pages import element_id
from dashboard.services.jobs.unit_settings import link
from engine.attribution.segmentation import segment, unit_profile
from engine.errors import InvalidInputError
from tests.dashboard.answers import deadline, text_of, there
from tests.dashboard.conftest import asked, call, drawn

MODEL = "lenet5-digits"
FORM = f"?model={MODEL}&attack=fgsm&epsilon=0.2&pairs=30"
LAYER, UNIT = (element_id(PAGE.look(name)) for name in ("layer", "unit"))


@pytest.fixture(scope="module")
def study(services):
    """A finished study."""
    job = services.sensitivity.submit(services.select(FORM))
    deadline(lambda: services.jobs.job(job.id).has_ended)
    ended = services.jobs.job(job.id)
    assert ended.state == "done", services.jobs.log(job.id)
    return ended


@pytest.fixture
def report(services, study):
    return services.sensitivity.outcome(study.id, MODEL)


@pytest.fixture
def changed(services, report, monkeypatch, drawn_anew):
    """Puts another report in the place of the study's."""

    def change(**parts):
        found = {**copy.deepcopy(report), **parts}
        monkeypatch.setattr(services.sensitivity, "outcome", lambda study, model: found)
        return found

    return change


def query(study, **fields):
    return f"{FORM}&sensitivity={study.id}" + "".join(f"&{name}={value}" for name, value in fields.items())


def inputs_of(search, card=None):
    extra = {
        cards.SUPPRESSION: ("sensitivity-damped", "value", "one"),
        cards.IMPORTANCE: ("sensitivity-class", "value", ""),
    }
    shown = [
        ("sensitivity-selection", "data", search),
        ("theme", "data", "light"),
        ("sensitivity-outcome", "data", "x"),
    ]
    return [*shown, extra[card]] if card in extra else shown


def told(client, search):
    names = ("summary", "layer-answer", "units-note", "ratios-note", "layers")
    outputs = [(f"sensitivity-{name}", "children") for name in names]
    inputs = [("sensitivity-selection", "data", search), ("sensitivity-outcome", "data", "x")]
    answer = call(client, outputs, inputs)
    assert answer.status_code == 200, answer.text[:500]
    response = answer.json["response"]
    return {name: text_of(response.get(f"sensitivity-{name}", {}).get("children")) for name in names}


def offered(client, search, known=None):
    """What the lists of layers and units offer."""
    looks = [(PAGE.look(name), prop) for name in ("layer", "unit") for prop in ("options", "value")]
    outputs = [*looks, ("sensitivity-shown-look", "data")]
    names = [f"{element_id(one) if isinstance(one, dict) else one}.{prop}" for one, prop in outputs]
    body = {
        "output": f"..{'...'.join(names)}..",
        "outputs": [{"id": one, "property": prop} for one, prop in outputs],
        "inputs": [
            {"id": "sensitivity-selection", "property": "data", "value": search},
            {"id": "sensitivity-outcome", "property": "data", "value": "x"},
        ],
        "state": [{"id": "sensitivity-shown-look", "property": "data", "value": known}],
        "changedPropIds": ["sensitivity-selection.data"],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert answer.status_code in (200, 204), answer.text[:300]
    return answer


def follow(client, search, followed=None):
    outputs = [(f"sensitivity-{name}", prop) for name, prop in (("status", "children"), ("outcome", "data"))]
    outputs += [("sensitivity-results", "hidden"), ("sensitivity-followed", "data")]
    inputs = [("jobs-tick", "data", 1), ("sensitivity-selection", "data", search)]
    return call(client, outputs, inputs, [("sensitivity-followed", "data", followed)])


@pytest.mark.parametrize("card", cards.ALL, ids=lambda card: card.name)
def test_every_figure_is_drawn(client, study, card):
    response = drawn(client, card, inputs_of(query(study), card))
    assert response[card.part("place")]["className"] == "figure-place"
    assert response[card.part("graph")]["figure"]["data"]


def test_the_answer_tells_the_misled_the_strongest_layer_and_what_damping_does(client, study, report):
    answer = told(client, query(study, layer="fc1"))
    misled = round(report["misled"] * report["pairs"])
    assert f"{misled} of 30 images" in answer["summary"]
    ratios = {layer["name"]: layer["mean_ratio"] for layer in report["layers"]}
    assert f"Measured by its clean output {max(ratios, key=ratios.get)} reacts most" in answer["summary"]
    values = np.array(next(layer["sensitivity"] for layer in report["layers"] if layer["name"] == "fc1"))
    first = np.argsort(-values, kind="stable")[:3].tolist()
    assert f"units {first[0]}, {first[1]} and {first[2]} react most" in answer["layer-answer"]
    damped = next(one for one in report["suppression"] if one["layer"] == "fc1")
    assert f"{100 * damped['sensitive']['clean'][-1]:.1f} % of the clean" in answer["layer-answer"]
    control = np.mean([draw[-1] for draw in damped["control"]["adversarial"]])
    assert f"(as many others: {100 * control:.1f} %" in answer["layer-answer"]
    for layer in report["layers"]:
        assert f"{layer['name']}{layer['units']}" in answer["layers"]


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([0.2, 0.5, 2.0], "grows from layer to layer, from 0.2 in a to 2 in c, as the paper finds"),
        ([0.2, 0.1, 150.0],
         "is larger at the end (from 0.2 in a to 150 in c) but does not grow steadily as in the paper: it falls in b."),
        ([0.5, 0.6, 0.5], "does not grow through the layers (from 0.5 in a to 0.5 in c), unlike what the paper finds"),
        ([0.5], ""),
    ],
)  # fmt: skip
def test_whether_the_change_grows_is_said(ratios, said):
    assert said in words.growth(dict(zip("abc", ratios, strict=False)))
    assert bool(words.growth(dict(zip("abc", ratios, strict=False)))) == bool(said)


def test_a_control_that_does_the_same_is_said_to(services, study, report):
    view = view_or_wait(services, services.select(query(study)))
    entry = copy.deepcopy(view.suppression(view.layer))
    for side in ("clean", "adversarial"):
        entry["control"][side] = [entry["sensitive"][side]] * 3
    same = {**report, "suppression": [entry]}
    said = "".join(str(part) for part in words.damping(replace(view, report=same)))
    assert "makes no difference that the units are sensitive" in said
    entry["control"]["clean"] = [[value - 0.1 for value in entry["sensitive"]["clean"]]] * 3
    said = "".join(str(part) for part in words.damping(replace(view, report=same)))
    assert "10.0 points above their mean on clean images" in said
    assert "attacked images" not in said.rpartition("No draw")[2]


def test_the_first_layer_is_looked_at_until_one_is_chosen(client, study):
    response = offered(client, query(study)).json["response"]
    assert [one["value"] for one in response[LAYER]["options"]] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert (response[LAYER]["value"], response[UNIT]["value"]) == ("conv1", "none")
    shown = response["sensitivity-shown-look"]["data"]
    assert (shown["layer"], shown["unit"]) == ("conv1", "")  # no choice of the visitor
    assert offered(client, query(study), shown).status_code == 204  # what is there already is left alone
    assert len(response[UNIT]["options"]) == 1 + 6


def test_a_unit_brings_its_layer_and_stays_in_the_list(client, study, report):
    values = next(layer["sensitivity"] for layer in report["layers"] if layer["name"] == "fc1")
    middle = int(np.argsort(values)[60])  # neither among the first nor the last
    response = offered(client, query(study, unit=f"fc1:{middle}")).json["response"]
    assert response[LAYER]["value"] == "fc1"
    assert response[UNIT]["value"] == f"fc1:{middle}"
    options = [one["value"] for one in response[UNIT]["options"]]
    assert f"fc1:{middle}" in options
    assert len(options) == 1 + 20 + 5 + 1
    assert f"Unit {middle}: sensitivity" in told(client, query(study, unit=f"fc1:{middle}"))["units-note"]
    figure = drawn(client, cards.UNITS, inputs_of(query(study, unit=f"fc1:{middle}")))[cards.UNITS.part("graph")][
        "figure"
    ]
    assert [one["text"] for one in figure["layout"]["annotations"]] == [f"unit {middle}"]


def test_what_the_study_does_not_have_is_said_and_stays_chosen(client, study):
    response = offered(client, query(study, layer="conv9")).json["response"]
    assert response[LAYER]["value"] == "conv9"
    assert "not in this study" in json.dumps(response[LAYER]["options"])
    assert "has no layer 'conv9'; it has: conv1" in told(client, query(study, layer="conv9"))["summary"]
    response = drawn(client, cards.UNITS, inputs_of(query(study, layer="conv9")))
    assert "conv9" in json.dumps(response[cards.UNITS.part("message")])
    response = drawn(client, cards.REGION, inputs_of(query(study, unit="conv1:99")))
    assert "conv1 has the units 0 to 5" in json.dumps(response)
    assert "(not in this layer)" in json.dumps(offered(client, query(study, unit="conv1:99")).json)
    elsewhere = query(study, unit="conv1:2", layer="conv2")
    assert "not of conv2" in json.dumps(drawn(client, cards.REGION, inputs_of(elsewhere)))
    assert "unit 2 of conv1 (not in this layer)" in json.dumps(offered(client, elsewhere).json)
    response = drawn(client, cards.UNITS, inputs_of(elsewhere))  # all else is of the layer
    assert response[cards.UNITS.part("place")]["className"] == "figure-place"


def test_a_linear_layer_has_no_map_and_the_last_layer_is_not_damped(client, study):
    response = drawn(client, cards.REGION, inputs_of(query(study, layer="fc1")))
    assert "linear layer" in json.dumps(response)
    response = drawn(client, cards.SUPPRESSION, inputs_of(query(study, layer="fc3"), cards.SUPPRESSION))
    assert "model's answers" in json.dumps(response)
    together = [*inputs_of(query(study, layer="fc3")), ("sensitivity-damped", "value", "all")]
    assert drawn(client, cards.SUPPRESSION, together)[cards.SUPPRESSION.part("place")]["className"] == "figure-place"
    assert "not damped" in told(client, query(study, layer="fc3"))["layer-answer"]


def test_what_cannot_be_measured_says_why(client, study, report, changed):
    changed(strength=None, importance=None, reason="the logits come from a convolution.")
    assert "has no strength" in json.dumps(drawn(client, cards.STRENGTH, inputs_of(query(study))))
    response = drawn(client, cards.IMPORTANCE, inputs_of(query(study), cards.IMPORTANCE))
    assert "come from a convolution" in json.dumps(response)
    for entry in (agreement := copy.deepcopy(report["agreement"])):
        entry |= {"levenshtein": None, "jaccard": None}
    changed(agreement=agreement, importance={**report["importance"], "classes": []})
    assert "fewer than two classes" in json.dumps(drawn(client, cards.AGREEMENT, inputs_of(query(study))))
    response = drawn(client, cards.IMPORTANCE, inputs_of(query(study), cards.IMPORTANCE))
    assert "misled no image" in json.dumps(response)


def test_models_side_by_side_say_which_lack_a_layer(client, study, report, changed):
    same = [{name: layer[name] for name in ("name", "sensitivity", "mean_ratio")} for layer in report["layers"]]
    other = {"name": "other", "label": "Other", "misled": 0.25, "layers": same[1:]}
    changed(models=[other])
    answer = told(client, query(study))
    assert "No layer conv1: Other." in answer["units-note"]
    assert "Other 25 %" in answer["ratios-note"]
    figure = drawn(client, cards.RATIOS, inputs_of(query(study)))[cards.RATIOS.part("graph")]["figure"]
    assert [trace["name"] for trace in figure["data"]][1] == "Other"
    figure = drawn(client, cards.UNITS, inputs_of(query(study, layer="fc1")))[cards.UNITS.part("graph")]["figure"]
    assert len(figure["data"]) == 2


def test_units_looked_at_after_the_activation_keep_their_plain_names(client, study, report, changed):
    layers = [{**layer, "name": f"{layer['name']}:act"} for layer in report["layers"]]
    damped = [{**one, "layer": f"{one['layer']}:act"} for one in report["suppression"]]
    changed(layers=layers, suppression=damped, settings={**report["settings"], "activated": True})
    response = offered(client, query(study, unit="conv2:3")).json["response"]
    assert response[LAYER]["value"] == "conv2"
    assert "after the activation" in told(client, query(study, layer="conv2"))["layer-answer"]
    for card in (cards.UNITS, cards.REGION, cards.SUPPRESSION):
        response = drawn(client, card, inputs_of(query(study, unit="conv2:3"), card))
        assert response[card.part("place")]["className"] == "figure-place", card.name


def test_regions_are_those_of_the_images_that_activate_the_unit_most(services, study, report):
    settings, seed = report["attack_settings"], report["settings"]["seed"]
    found = there(lambda: services.regions.find(MODEL, "conv2", 8, "fgsm", settings, seed))
    loaded = services.choices.get(MODEL)
    module, test = loaded.classifier.module, loaded.dataset.test
    images = test.images(range(len(test)))
    right = np.flatnonzero(module(images).argmax(1).numpy() == test.labels)
    profile = unit_profile(module, images[right], "conv2:act")
    assert found.n_images == len(right)
    assert found.indices.tolist() == right[profile.strongest[8]].tolist()
    assert np.array_equal(found.clean, test.images(found.indices).numpy())
    expected = segment(module, images[found.indices], profile, np.array([8])).regions[:, 0]
    assert np.array_equal(found.clean_regions, expected)
    assert np.abs(found.adversarial - found.clean).max() == pytest.approx(0.2, abs=1e-6)
    for layer, unit in (("conv2", 16), ("conv2", -1), ("fc1", 0), ("conv9", 0)):
        with pytest.raises(InvalidInputError):
            there(lambda layer=layer, unit=unit: services.regions.find(MODEL, layer, unit, "fgsm", settings, seed))


def test_the_least_sensitive_unit_that_is_shown_reacts(client, services, study):
    selection = services.select(query(study, layer="conv2"))
    view = view_or_wait(services, selection)
    unit = there(lambda: least_sensitive(services, selection, view))
    reacting = there(lambda: services.regions.reacting(MODEL, "conv2"))
    assert reacting[unit]
    assert not reacting[view.order[view.rank(unit) :]].any()
    notes = asked(
        client, "sensitivity-region-note",
        [("sensitivity-region-note", "children"), ("sensitivity-least-note", "children")],
        [("sensitivity-selection", "data", query(study, layer="conv2")), ("sensitivity-outcome", "data", "x")],
    )  # fmt: skip
    assert f"Unit {unit} of conv2" in notes["sensitivity-least-note"]["children"]
    assert f"Unit {view.order[0]} of conv2, the most sensitive of 16" in notes["sensitivity-region-note"]["children"]


def test_a_unit_that_never_reacts_has_no_region(client, services, study, monkeypatch, drawn_anew):
    monkeypatch.setattr(services.regions, "reacting", lambda model, name: np.zeros(16, bool))
    for card, said in ((cards.REGION, "the same on all test images"), (cards.LEAST, "No unit of conv2 reacts")):
        assert said in json.dumps(drawn(client, card, inputs_of(query(study, layer="conv2"))))
    view = view_or_wait(services, services.select(query(study, layer="conv2")))
    with pytest.raises(Nothing):
        least_sensitive(services, services.select(query(study, layer="conv2")), view)


def test_a_study_is_followed_to_its_end_and_then_shown(client, study):
    response = follow(client, query(study)).json["response"]
    assert response["sensitivity-results"]["hidden"] is False
    assert study.id in response["sensitivity-outcome"]["data"]
    assert follow(client, query(study), response["sensitivity-followed"]["data"]).status_code == 204


def test_a_study_that_is_stopped_says_how_it_ended(client, services):
    job = services.sensitivity.submit(services.select(FORM.replace("pairs=30", "pairs=300") + "&seed=1"))
    services.jobs.cancel(job.id)
    deadline(lambda: services.jobs.job(job.id).has_ended)
    response = follow(client, query(job)).json["response"]
    assert "cancelled" in json.dumps(response["sensitivity-status"])
    assert response["sensitivity-results"]["hidden"] is True


def test_a_study_that_is_gone_or_of_another_kind_or_model_is_said_to_be(client, services, study, monkeypatch):
    gone = follow(client, f"?model={MODEL}&sensitivity={'e' * 32}").json["response"]
    assert "there is no such job" in json.dumps(gone["sensitivity-status"])
    monkeypatch.setattr(services.sensitivity, "kind", "route")
    assert "is no sensitivity of units" in json.dumps(follow(client, query(study)).json)
    monkeypatch.undo()
    now = services.choices.get(MODEL)
    other = replace(now, classifier=replace(now.classifier, key="0" * 64))
    monkeypatch.setattr(services.choices, "get", lambda name: other)
    assert "another model" in json.dumps(follow(client, query(study)).json)


def test_the_link_of_a_job_shows_its_outcome_and_its_form(client, services, study):
    selection = services.select("?" + urlsplit(link(study)).query)
    assert (selection.sensitivity, selection.attack, selection.epsilon) == (study.id, "fgsm", 0.2)
    assert selection.unit_form.pairs == 30
    answer = call(
        client, [("sensitivity-earlier", "children")],
        [("sensitivity-selection", "data", FORM), ("sensitivity-outcome", "data", None)],
    )  # fmt: skip
    assert study.id in json.dumps(answer.json)


def test_the_report_can_be_saved(client, study, report):
    answer = call(
        client, [("sensitivity-report-file", "data")], [("sensitivity-report-json", "n_clicks", 1)],
        [("sensitivity-selection", "data", query(study))],
    )  # fmt: skip
    data = answer.json["response"]["sensitivity-report-file"]["data"]
    assert data["filename"] == "sensitivity.json"
    assert json.loads(base64.b64decode(data["content"])) == report


def test_the_classes_the_attack_led_to_are_offered(client, study, report):
    answer = call(
        client, [("sensitivity-class", "options"), ("sensitivity-class", "value")],
        [("sensitivity-outcome", "data", "x")],
        [("sensitivity-selection", "data", query(study)), ("sensitivity-class", "value", None)],
    )  # fmt: skip
    response = answer.json["response"]["sensitivity-class"]
    most = max(report["importance"]["classes"], key=lambda one: one["images"])
    assert len(response["options"]) == len(report["importance"]["classes"])
    assert f"({most['images']} images)" in response["options"][0]["label"]
    chosen = [*inputs_of(query(study)), ("sensitivity-class", "value", response["options"][-1]["value"])]
    figure = drawn(client, cards.IMPORTANCE, chosen)[cards.IMPORTANCE.part("graph")]["figure"]
    name = report["classes"][int(response["options"][-1]["value"])]
    assert f"target class {name}" in figure["layout"]["xaxis"]["title"]["text"]
