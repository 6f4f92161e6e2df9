"""The Route page's callbacks: one image without a study, and a small study that a job has run."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from dashboard.figures.table import figure_table
from dashboard.pages.route import cards
from dashboard.pages.route.picking import control, fitting
from dashboard.pages.route.view import report_or_wait
from dashboard.pages.route.whole_map import whole_map
from dashboard.pages.route.words import doing, experiment, picked_words
from dashboard.selection import MAX_LIST, picked_text
from dashboard.services.computations import Pending
from dashboard.services.interventions import Interventions
from dashboard.services.jobs.unit_settings import link
from engine.network.units import UnitLayer
from tests.dashboard.answers import deadline, text_of, there
from tests.dashboard.conftest import asked, call, drawn

MODEL = "lenet5-digits"
IMAGE = f"?model={MODEL}&image=test:3&attack=pgd_linf&epsilon=0.1"
SIZES = {"conv1": 6, "conv2": 16}


@pytest.fixture(scope="module")
def study(services):
    """A finished study."""
    job = services.routes.submit(services.select(f"?model={MODEL}&attack=fgsm&epsilon=0.2&pairs=20&routed=20"))
    deadline(lambda: services.jobs.job(job.id).has_ended)
    ended = services.jobs.job(job.id)
    assert ended.state == "done", services.jobs.log(job.id)
    return ended


def with_study(study, **fields):
    return f"{IMAGE}&route={study.id}" + "".join(f"&{name}={value}" for name, value in fields.items())


def inputs_of(search, outcome=True):
    inputs = [("route-selection", "data", search), ("theme", "data", "light")]
    return [*inputs, ("route-outcome", "data", "x")] if outcome else inputs


def draw(client, card, search):
    return drawn(client, card, inputs_of(search, outcome=card is cards.MAP or card in cards.STUDY_CARDS))


def told(client, search):
    """What is said of the image."""
    outputs = [("route-said", "children"), ("route-pictures", "children"), ("route-which", "children")]
    return asked(client, "route-said", outputs, [("route-selection", "data", search)])


def said(client, search):
    return text_of(told(client, search)["route-said"]["children"])


@pytest.mark.parametrize("card", [cards.MAP, cards.LIVE, cards.CAM], ids=lambda card: card.name)
def test_one_image_needs_no_study(client, card):
    response = draw(client, card, IMAGE)
    assert response[card.part("place")]["className"] == "figure-place"
    assert response[card.part("graph")]["figure"]["data"]


@pytest.mark.parametrize("card", cards.ALL, ids=lambda card: card.name)
def test_every_figure_is_drawn_with_a_study(client, study, card):
    response = draw(client, card, with_study(study, picked="conv1:0.5,conv2:2.13"))
    assert response[card.part("place")]["className"] == "figure-place", response
    assert response[card.part("graph")]["figure"]["data"]


@pytest.mark.parametrize("card", [cards.MAP, *cards.STUDY_CARDS], ids=lambda card: card.name)
def test_a_study_that_is_not_there_leaves_its_figures_waiting_and_the_map_drawn(client, card):
    response = draw(client, card, IMAGE)
    waiting = "is-waiting" in response[card.part("place")]["className"]
    assert waiting == (card is not cards.MAP)


def test_the_path_card_says_that_units_are_missing(client):
    response = draw(client, cards.PATHS, IMAGE)
    assert "Choose units" in json.dumps(response[cards.PATHS.part("message")])


def test_units_without_weights_between_them_are_no_fault(client):
    search = f"{IMAGE}&picked=conv2:1&act=weaken"
    response = draw(client, cards.LIVE, search)
    assert response[cards.LIVE.part("place")]["className"] == "figure-place is-empty"
    assert "no weights" in said(client, search)


def test_the_answer_says_what_becomes_of_the_image(client, services):
    view = there(lambda: services.inspections.inspect(services.select(IMAGE)))
    assert "becomes a 3" in said(client, IMAGE)
    assert "Choose units" in said(client, IMAGE)
    route = there(lambda: services.interventions.route(services.select(IMAGE)))
    picked = picked_text([(layer, units.tolist()) for layer, units in route.items()])
    text = said(client, f"{IMAGE}&picked={picked}")
    assert "Replacing the route of this image (2 of 6 units of conv1 and 4 of 16 units of conv2)" in text
    assert "turns the attacked 3 back into an 8" in text
    changed = there(lambda: services.interventions.intervened(services.select(f"{IMAGE}&picked={picked}")))
    assert f"({changed.adversarial[view.true_class]:.2f})" in text
    assert f"({changed.clean.max():.2f})" in text


def test_the_pictures_say_what_each_is_called(client):
    captions = text_of(told(client, IMAGE)["route-pictures"]["children"])
    assert "clean8 (1.00)" in captions
    assert "attacked3 (0." in captions
    assert "at most 0.1" in captions


def test_an_attack_that_fails_is_said_to_fail(client):
    assert "the attack fails" in said(client, f"?model={MODEL}&image=test:3&attack=pgd_linf&epsilon=0.001")


def test_units_of_another_model_are_told(client):
    assert "the route has the layers conv1, conv2; got 'conv9'" in said(client, f"{IMAGE}&picked=conv9:1")


@pytest.mark.parametrize(
    ("act", "factor", "words"),
    [
        ("transplant", 0.5, "Replacing 2 of 6 units of conv1 by their clean values"),
        ("deactivate", 0, "Switching off 2 of 6 units of conv1"),
        ("deactivate", 0.25, "Damping 2 of 6 units of conv1 to 25%"),
        ("weaken", 0, "Cutting the weights between 2 of 6 units of conv1"),
        ("weaken", 0.4, "Weakening the weights between 2 of 6 units of conv1 to 40%"),
    ],
)
def test_the_experiment_in_words(services, act, factor, words):
    selection = services.select(f"{IMAGE}&picked=conv1:0.5&act={act}&factor={factor}")
    assert doing(selection, SIZES, None) == words


def test_many_layers_are_summed_up():
    picked = [(f"layer{n}", (0, 1)) for n in range(5)]
    assert picked_words(picked, {f"layer{n}": 8 for n in range(5)}) == "10 of 40 units in 5 layers"


def test_what_does_not_go_back_is_not_said_to(services):
    selection = services.select(f"{IMAGE}&picked=conv1:0&act=deactivate")
    view = there(lambda: services.inspections.inspect(selection))

    class Third:
        clean = np.eye(10)[1]
        adversarial = np.eye(10)[5]

    words = text_of(experiment(view, Third, selection, SIZES, None))
    assert "into a 5 (1.00), not back into an 8" in words
    assert "The clean image becomes a 1 (1.00)" in words


def pick(client, search, by, value, text="", asked=None):
    """The units after a click; by the clock, after what was asked for earlier."""
    fills = [{"type": "route-fill", "source": one} for one in ("image", "model", "control", "none")]
    chips = [{"type": "route-chip", "layer": one} for one in SIZES]
    clicked = [value if one == by else 0 for one in (*fills, *chips)]

    def entries(ids, values):
        return [{"id": one, "property": "n_clicks", "value": n} for one, n in zip(ids, values, strict=True)]

    click = value if by == "map" else None
    elsewhere = {"map": "route-map-graph.clickData", "clock": "route-pick-note-retry.n_intervals"}
    fill = json.dumps(by, separators=(",", ":"), sort_keys=True)
    changed = elsewhere[by] if isinstance(by, str) else f"{fill}.n_clicks"
    look = {"type": "route-look", "name": "picked"}
    outputs = [(look, "value"), ("route-pick-note", "children"), ("route-map-graph", "clickData")]
    outputs += [("route-asked", "data"), ("route-pick-note-retry", "disabled")]
    joined = "...".join(
        f"{json.dumps(one, separators=(',', ':'), sort_keys=True) if isinstance(one, dict) else one}.{prop}"
        for one, prop in outputs
    )
    body = {
        "output": f"..{joined}..",
        "outputs": [{"id": one, "property": prop} for one, prop in outputs],
        "inputs": [
            entries(fills, clicked[:4]),
            entries(chips, clicked[4:]),
            {"id": "route-map-graph", "property": "clickData", "value": click},
            {"id": "route-pick-note-retry", "property": "n_intervals", "value": value},
        ],
        "state": [
            {"id": "route-asked", "property": "data", "value": asked},
            {"id": look, "property": "value", "value": text},
            {"id": "route-selection", "property": "data", "value": search},
        ],
        "changedPropIds": [changed],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    if answer.status_code == 204:
        return None
    assert answer.status_code == 200, answer.text[:500]
    response = answer.json["response"]
    if response.get("route-asked", {}).get("data"):
        return response["route-asked"]["data"]
    found = response.get(json.dumps(look, separators=(",", ":"), sort_keys=True), {}).get("value")
    return found, text_of(response["route-pick-note"]["children"]) if "route-pick-note" in response else ""


FILL = {name: {"type": "route-fill", "source": name} for name in ("image", "model", "control", "none")}


def test_buttons_choose_the_routes(client, services, study):
    route = there(lambda: services.interventions.route(services.select(IMAGE)))
    expected = picked_text([(layer, units.tolist()) for layer, units in route.items()])
    assert pick(client, IMAGE, FILL["image"], 1)[0] == expected
    report = report_or_wait(services, services.select(with_study(study)))
    of_model = picked_text([(layer["name"], layer["chosen"]) for layer in report["layers"]])
    assert pick(client, with_study(study), FILL["model"], 1)[0] == of_model
    assert pick(client, IMAGE, FILL["none"], 1, "conv1:1") == ("", "")
    assert pick(client, "?picked=nonsense", FILL["none"], 1, "nonsense") == ("", "")
    assert pick(client, IMAGE, FILL["image"], 0) is None  # buttons that have just come are no clicks


def test_what_is_clicked_before_the_route_is_there_is_done_once_it_is(client, services, monkeypatch):
    expected = pick(client, IMAGE, FILL["image"], 1)

    def pending(_selection):
        raise Pending(0.5, "finding the route")

    with monkeypatch.context() as patch:
        patch.setattr(Interventions, "route", lambda _self, selection: pending(selection))
        asked_for = pick(client, IMAGE, FILL["image"], 1)
        assert asked_for == [FILL["image"], 1]
        assert pick(client, IMAGE, "clock", 3, asked=asked_for) == asked_for
    assert pick(client, IMAGE, "clock", 4, asked=asked_for) == expected
    assert pick(client, IMAGE, "clock", 5) is None


def test_each_click_draws_another_control_of_as_many_units(client, services):
    route = there(lambda: services.interventions.route(services.select(IMAGE)))
    drawn_units = [pick(client, IMAGE, FILL["control"], n, "conv1:1.2,conv2:4")[0] for n in (1, 2, 1)]
    assert drawn_units[0] == drawn_units[2] != drawn_units[1]
    for text in drawn_units:
        picked = dict(services.parse_fields({"picked": text}).values["picked"])
        assert {layer: len(units) for layer, units in picked.items()} == {"conv1": 2, "conv2": 1}
        assert not any(set(units) & set(route[layer].tolist()) for layer, units in picked.items())


def test_a_control_with_too_few_units_says_so():
    layers = [UnitLayer("a:act", "a", "relu", (4, 1, 1), True)]
    found, note = control({"a": [0, 1, 2]}, [{"a": [0]}, {"a": [1]}], layers, draw=1)
    assert sorted(found["a"]) == [2, 3]
    assert "fewer units" in note


def test_a_layer_goes_and_comes(client, services):
    route = there(lambda: services.interventions.route(services.select(IMAGE)))
    chip = {"type": "route-chip", "layer": "conv1"}
    assert pick(client, IMAGE, chip, 1, "conv1:1,conv2:4")[0] == "conv2:4"
    assert pick(client, IMAGE, chip, 2, "conv2:4")[0] == "conv2:4," + picked_text([("conv1", route["conv1"].tolist())])


def test_a_click_on_the_map_adds_and_removes_a_unit(client):
    click = {"points": [{"customdata": ["conv2", 7, 0.5, "no", "no"]}]}
    assert pick(client, IMAGE, "map", click, "conv2:4")[0] == "conv2:4.7"
    assert pick(client, IMAGE, "map", click, "conv1:1,conv2:7")[0] == "conv1:1"


def test_what_a_link_cannot_hold_is_left_out_from_the_front():
    wanted = {f"layer{n}": list(range(100, 180)) for n in range(5)}
    kept, note = fitting(wanted)
    assert list(kept) == ["layer2", "layer3", "layer4"]
    assert len(picked_text([*kept.items()])) <= MAX_LIST
    assert "the last 3 of 5 layers" in note
    assert fitting({"a": [1]}) == ({"a": [1]}, None)


def test_the_map_marks_routes_and_picked_units(services, study):
    selection = services.select(with_study(study))
    layers = there(lambda: services.interventions.layers(MODEL))
    route = {"conv1": np.array([0]), "conv2": np.array([3, 4])}
    for report in (None, report_or_wait(services, selection)):
        figure = whole_map(layers, report, route, {"conv2": (4, 7), "conv9": (1,)}, "light")
        squares = next(trace for trace in figure.data if trace.name == "chosen for the experiment")
        places = {
            (row[0], row[1]): (x, y)
            for trace in figure.data
            if trace.customdata is not None
            for x, y, row in zip(trace.x, trace.y, trace.customdata, strict=True)
        }
        assert set(zip(squares.x, squares.y, strict=True)) == {places["conv2", 4], places["conv2", 7]}
        assert len(places) == 22
        line = next(line for line in figure_table(figure).splitlines() if ",conv2,4," in line)
        assert line.endswith(",yes")
        assert (",,," in line) == (report is None)  # how often is not known without a study
    alone = whole_map(layers, None, route, {}, "light")
    top = [row for trace in alone.data if trace.customdata is not None for row in trace.customdata]
    assert [row[1] for row in top if row[0] == "conv2"][:2] == [3, 4]


def tell_study(client, search):
    look = {"type": "route-look", "name": "layer"}
    joined = json.dumps(look, separators=(",", ":"), sort_keys=True)
    names = ("summary", "statements", "hardest", "table")
    outputs = [(f"route-{name}", "children") for name in names]
    body = {
        "output": f"..{'...'.join(f'{n}.{p}' for n, p in outputs)}...{joined}.options..",
        "outputs": [*[{"id": n, "property": p} for n, p in outputs], {"id": look, "property": "options"}],
        "inputs": [
            {"id": "route-selection", "property": "data", "value": search},
            {"id": "route-outcome", "property": "data", "value": "x"},
        ],
        "state": [],
        "changedPropIds": ["route-outcome.data"],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, answer.text[:500]
    response = answer.json["response"]
    return {name: response.get(f"route-{name}", {}).get("children") for name in names}


def test_the_study_is_told_in_words_with_its_own_attack(client, services, study):
    response = tell_study(client, with_study(study))
    assert "FGSM at ε = 0.2" in text_of(response["summary"])
    assert "from 20 training images; tried on 20 test images" in text_of(response["statements"])
    report = report_or_wait(services, services.select(with_study(study)))
    whole = report["transplant"]["cumulative"][-1]
    assert f"repair {whole['route']:.0%} of the misled images" in text_of(response["statements"])
    assert text_of(response["table"]).count("conv") == 2


def test_hard_and_easy_images_open_here_with_what_is_chosen(client, services, study):
    response = tell_study(client, with_study(study, picked="conv2:4"))
    hrefs = [piece.split('"')[0] for piece in json.dumps(response["hardest"]).split('"href": "')[1:]]
    report = report_or_wait(services, services.select(with_study(study)))
    order = [report["indices"][row] for row in report["hardness"]["order"]]
    images = [int(parse_qs(urlsplit(href).query)["image"][0].removeprefix("test:")) for href in hrefs]
    assert images == [*order[:9], *order[::-1][:9]]
    again = services.select("?" + urlsplit(hrefs[0]).query)
    assert (again.route, again.picked) == (study.id, (("conv2", (4,)),))


def test_without_a_study_nothing_is_told_of_one(client):
    assert tell_study(client, IMAGE) == {"summary": None, "statements": None, "hardest": None, "table": None}


def test_the_report_can_be_saved(client, services, study):
    answer = call(
        client, [("route-report-file", "data")], [("route-report-json", "n_clicks", 1)],
        [("route-selection", "data", with_study(study))],
    )  # fmt: skip
    saved = json.loads(base64.b64decode(answer.json["response"]["route-report-file"]["data"]["content"]))
    assert saved["layers"][0]["name"] == "conv1:act"  # as the engine has it
    assert saved == services.routes.outcome(study.id, MODEL)


def follow(client, search, followed=None):
    outputs = [("route-status", "children"), ("route-outcome", "data"), ("route-results", "hidden")]
    inputs = [("jobs-tick", "data", 1), ("route-selection", "data", search)]
    return call(
        client, [*outputs, ("route-followed", "data")], inputs, [("route-followed", "data", followed)]
    )  # fmt: skip


def test_a_study_is_followed_and_the_same_is_not_made_twice(client, services, study):
    response = follow(client, with_study(study)).json["response"]
    assert response["route-results"]["hidden"] is False
    assert study.id in response["route-outcome"]["data"]
    selection = services.select("?" + urlsplit(link(study)).query)
    assert selection.route == study.id
    assert services.routes.submit(selection).id == study.id


def test_a_removed_study_is_said_to_be_gone_and_the_image_is_still_told(client):
    search = f"{IMAGE}&route={'e' * 32}"
    assert "no such job" in json.dumps(follow(client, search).json["response"]["route-status"])


def test_the_page_is_laid_out_for_every_kind_of_link(app, services, study):
    from dashboard.pages.route.layout import build

    for search in (IMAGE, with_study(study, layer="conv9"), "?picked=nonsense&act=x&image=test:-1&factor=9"):
        fields = {name: values[0] for name, values in parse_qs(search.removeprefix("?")).items()}
        assert build(services, fields).children
