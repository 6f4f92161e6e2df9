"""The Classes page's callbacks."""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner

from dashboard.components.background import background_state
from dashboard.pages.classes import cards
from dashboard.services import EXTENSION
from engine.command_line import main as command_line
from engine.paths.aggregation import ClassPaths
from engine.paths.path import Path
from engine.paths.survey import SURVEYED, survey
from tests.dashboard.answers import deadline
from tests.dashboard.conftest import call, drawn

QUERY = "?model=lenet5-digits&pair=3-5"


@pytest.fixture(scope="module")
def ready(services):
    deadline(lambda: services.normal_paths.ask("lenet5-digits", 0.5).normal)


def tell(client, query, listed=(None, None)):
    names = ("summary", "matrix-note", "pair-numbers", "pair-examples", "pair-choice")
    outputs = [*[(f"classes-{name}", "children") for name in names], ("classes-shown-pair", "data")]
    inputs = [("classes-selection", "data", query), ("classes-paths", "data", None)]
    state = [("classes-first", "value", listed[0]), ("classes-second", "value", listed[1])]
    return call(client, outputs, inputs, state)


@pytest.mark.parametrize("card", cards.ALL, ids=lambda card: card.name)
def test_every_figure_is_drawn(client, ready, card):
    inputs = [("classes-selection", "data", QUERY), ("theme", "data", "dark"), ("classes-paths", "data", None)]
    response = drawn(client, card, inputs)
    assert response[card.part("place")]["className"] == "figure-place"
    assert response[card.part("graph")]["figure"]["data"]


def test_two_classes_are_compared_in_numbers_and_examples(client, ready, services):
    text = tell(client, QUERY).text
    assert "shared synapses" in text
    assert "Test images of 5" in text
    paths = services.normal_paths.ask("lenet5-digits", 0.5).normal.class_paths.paths
    assert f"{paths[3].jaccard(paths[5]):.3f}" in text


def test_without_a_pair_the_most_similar_one_is_compared(client, ready, services):
    card = cards.PAIR
    inputs = [("classes-selection", "data", ""), ("theme", "data", "light"), ("classes-paths", "data", None)]
    response = drawn(client, card, inputs)
    paths = services.normal_paths.ask("lenet5-digits", 0.5).normal.class_paths.paths
    likeness, first, second = max((paths[a].jaccard(paths[b]), a, b) for a in range(10) for b in range(a))
    told = tell(client, "").text
    assert f"{second} and {first}" in told
    assert f"{likeness:.3f}" in told
    shown = str(response[card.part("graph")]["figure"])
    assert all(layer in shown for layer in paths[0].layers)


@pytest.fixture
def copied(services, new_app, tmp_path):
    """Makes the services of another server, over a copy of the cache."""
    shutil.copytree(services.settings.data_dir / "cache", tmp_path / "cache")
    return lambda: new_app().server.extensions[EXTENSION]


def test_what_the_command_line_computed_is_shown_without_computing_it_again(new_app, tmp_path, monkeypatch):
    monkeypatch.setenv("DETOUR_HOME", str(tmp_path))
    told = CliRunner().invoke(command_line, ["classes", "lenet5-digits", "--json"])
    assert told.exit_code == 0, told.output
    monkeypatch.setattr("engine.paths.class_paths.compute_class_paths", None)  # whoever calls it fails
    monkeypatch.setattr("engine.paths.survey.survey", None)
    services = new_app().server.extensions[EXTENSION]
    deadline(lambda: services.normal_paths.ask("lenet5-digits", 0.5).normal, seconds=20)
    shown = services.normal_paths.ask("lenet5-digits", 0.5).normal.survey
    assert json.loads(told.stdout)["overall density"] == shown.density()


def test_finished_class_paths_are_read_from_disk_by_another_server(ready, services, copied):
    other = copied()
    deadline(lambda: other.normal_paths.ask("lenet5-digits", 0.5).normal, seconds=20)
    one, two = (s.normal_paths.ask("lenet5-digits", 0.5).normal for s in (services, other))
    assert one.bands == two.bands
    assert one.class_paths.paths[0] == two.class_paths.paths[0]
    np.testing.assert_array_equal(one.survey.similarity, two.survey.similarity)
    work = other.normal_paths.ask("lenet5-digits", 0.5)
    assert len([file for file in work.files if file.name.endswith(SURVEYED) and file.exists()]) == 1


def test_a_damaged_file_is_set_aside_and_computed_again(ready, copied, tmp_path):
    folder = tmp_path / "cache" / "class-paths"
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    other = copied()
    deadline(lambda: other.normal_paths.ask("lenet5-digits", 0.5).normal)
    assert list(folder.glob("*.damaged"))


def test_a_damaged_survey_is_made_again(ready, services, copied, tmp_path, caplog):
    (file,) = (tmp_path / "cache" / "class-paths").glob(f"*{SURVEYED}")
    whole = file.read_bytes()
    file.write_bytes(whole[:200])
    other = copied()
    deadline(lambda: other.normal_paths.ask("lenet5-digits", 0.5).normal, seconds=20)
    one, two = (s.normal_paths.ask("lenet5-digits", 0.5).normal.survey for s in (services, other))
    np.testing.assert_array_equal(one.similarity, two.similarity)
    assert len(file.read_bytes()) == len(whole)
    assert "surveying class paths again" in caplog.text


def without(class_paths, *classes):
    """The class paths with those of some classes emptied, as if none of their images were classified correctly."""
    counts = class_paths.counts.copy()
    counts[list(classes)] = 0
    return replace(class_paths, counts=counts)


@pytest.fixture
def unclassified(ready, services, monkeypatch):
    """A model that classifies no training image of 0 and 1 correctly."""
    normal = services.normal_paths.ask("lenet5-digits", 0.5).normal
    class_paths = without(normal.class_paths, 0, 1)
    work = SimpleNamespace(error=None, normal=replace(normal, class_paths=class_paths, survey=survey(class_paths)))
    monkeypatch.setattr(type(services.normal_paths), "ask", lambda *_: work)
    return work.normal.class_paths


def test_classes_without_a_path_are_named_and_left_out(client, unclassified):
    told = tell(client, "").json["response"]
    reason = "0 and 1 have no class path: the model classifies no training image of theirs correctly."
    assert reason in str(told["classes-summary"])
    assert "nan" not in str(told["classes-summary"])
    assert told["classes-matrix-note"]["children"] == f"Empty cells: {reason}"
    loner = re.search(r"own: .*?'children': '(\d)'", str(told["classes-summary"]))
    assert loner
    assert loner[1] not in "01"


@pytest.mark.parametrize(
    ("pair", "reason"), [("0-5", "0 has no class path to compare"), ("3-3", "two different classes")]
)
def test_a_pair_that_cannot_be_compared_says_why(client, unclassified, pair, reason):
    inputs = [
        ("classes-selection", "data", f"?pair={pair}"),
        ("theme", "data", "dark"),
        ("classes-paths", "data", None),
    ]
    response = drawn(client, cards.PAIR, inputs)
    assert "is-empty" in response[cards.PAIR.part("place")]["className"]
    assert reason in str(response[cards.PAIR.part("message")])
    assert not tell(client, f"?pair={pair}").json["response"]["classes-pair-numbers"]["children"]


@pytest.mark.parametrize("card", [cards.MATRIX, cards.DENSITY, cards.GROWTH], ids=lambda card: card.name)
def test_figures_are_drawn_without_classes_that_have_no_path(client, unclassified, card):
    inputs = [("classes-selection", "data", ""), ("theme", "data", "light"), ("classes-paths", "data", None)]
    response = drawn(client, card, inputs)
    assert response[card.part("place")]["className"] == "figure-place"
    if card is cards.GROWTH:
        assert response[card.part("graph")]["figure"]["data"][0]["x"] == list("23456789")


@pytest.mark.usefixtures("drawn_anew")
def test_failed_class_paths_are_an_error_in_every_card(client, services, monkeypatch):
    failed = SimpleNamespace(error="the disk is full.", normal=None)
    monkeypatch.setattr(type(services.normal_paths), "ask", lambda *_: failed)
    inputs = [("classes-selection", "data", ""), ("theme", "data", "light"), ("classes-paths", "data", None)]
    for card in cards.ALL:
        response = drawn(client, card, inputs)
        assert response[card.part("place")]["className"] == "figure-place is-error"
        assert "the disk is full." in str(response[card.part("message")])


def test_failed_work_draws_the_cards_again_each_time(services, monkeypatch):
    failed = SimpleNamespace(error="the disk is full.", normal=None, asked=17.0)
    monkeypatch.setattr(type(services.normal_paths), "ask", lambda *_: failed)
    state = background_state(services, "?model=lenet5-digits", None)
    assert state.finished
    failed.asked = 18.0
    assert background_state(services, "?model=lenet5-digits", state.token).token != state.token


def test_the_lists_name_the_pair_that_is_shown(client, ready):
    told = tell(client, "").json["response"]
    first, second = told["classes-shown-pair"]["data"].split("-")
    assert f"'value': '{first}'" in str(told["classes-pair-choice"])
    assert "classes-pair-choice" not in tell(client, "", (first, second)).json["response"]


def test_examples_keep_the_attack_and_lose_what_cannot_fit(client, ready):
    text = tell(client, "?model=lenet5-digits&pair=3-5&attack=fgsm&epsilon=0.3&seed=4&pin=test:1&target=5").text
    links = re.findall(r'"href": ?"([^"]*)"', text)
    assert len(links) == 16
    for place, link in enumerate(links):
        query = parse_qs(urlsplit(link).query)
        assert (query["attack"], query["epsilon"], query["seed"]) == (["fgsm"], ["0.3"], ["4"])
        assert "pin" not in query
        assert ("target" in query) == (place < 8)  # an image of 5 cannot be led to 5


MANY = 300


@pytest.fixture
def many(ready, services, monkeypatch, drawn_anew):
    """300 made classes of the model's layers, whose similarities are estimated; 7 has no path, 3 and 4 are close."""
    normal = services.normal_paths.ask("lenet5-digits", 0.5).normal
    shapes = normal.class_paths.paths[0].shapes
    random = np.random.default_rng(0)

    def path(layers_ids):
        none = {layer: np.empty(0, np.int64) for layer in shapes}
        return Path(tuple(shapes), layers_ids, none, none, shapes, 0.5)

    sets = [
        {
            layer: np.flatnonzero(random.random(shape.n_neurons * shape.receptive_field) < 0.05)
            for layer, shape in shapes.items()
        }
        for _ in range(MANY)
    ]
    sets[4] = {layer: np.union1d(sets[3][layer], sets[4][layer][:50]) for layer in shapes}
    names = tuple(f"a kind of animal, number {label}" for label in range(MANY))
    class_paths = without(ClassPaths(names, tuple(map(path, sets)), np.ones(MANY, np.int64), 0.5), 7)
    made = replace(normal, class_paths=class_paths, survey=survey(class_paths, exact_pairs=0, drawn=20_000))
    work = SimpleNamespace(error=None, normal=made)
    monkeypatch.setattr(type(services.normal_paths), "ask", lambda *_: work)
    return made


def test_three_hundred_classes_are_estimated_and_say_so(client, many):
    told = tell(client, "").json["response"]
    assert "number 3 and a kind of animal, number 4" in str(told["classes-summary"])
    assert "Similarities are estimates" in str(told["classes-summary"])
    assert "nan" not in str(told["classes-summary"])
    note = told["classes-matrix-note"]["children"]
    assert re.search(r"Empty cells: .* number 7 has no class path.* Estimated from 20,000 synapses", note)
    error = float(re.search(r"standard error of at most (0\.\d+);", note)[1])
    assert many.survey.standard_error <= error < 2 * many.survey.standard_error
    assert told["classes-shown-pair"]["data"] == "3-4"
    three, four = many.class_paths.paths[3:5]
    assert f"{three.jaccard(four):.3f}" in str(told["classes-pair-numbers"]), "of the pair J is exact"


def test_the_figures_of_three_hundred_classes_stay_small_and_readable(client, many):
    inputs = [("classes-selection", "data", ""), ("theme", "data", "light"), ("classes-paths", "data", None)]
    for card in cards.ALL:
        response = drawn(client, card, inputs)
        assert response[card.part("place")]["className"] == "figure-place"
        figure = response[card.part("graph")]["figure"]
        assert len(str(figure)) < 2 * MANY**2 * 4
        if card is cards.MATRIX:
            assert figure["layout"]["xaxis"]["showticklabels"] is False
            assert figure["data"][0]["y"][5] == "a kind of animal, number 5"
        if card is cards.GROWTH:
            assert len(figure["layout"]["xaxis"]["tickvals"]) <= 10
            assert len(figure["data"][0]["x"]) == MANY - 1
