"""The Classes page's callbacks."""

import pytest

from dashboard.pages.classes import cards
from tests.dashboard.conftest import call
from tests.dashboard.test_inspect import deadline

QUERY = "?model=lenet5-digits&pair=3-5"


@pytest.fixture(scope="module")
def ready(services):
    deadline(lambda: services.normal_paths.ask("lenet5-digits", 0.5).normal)


@pytest.mark.parametrize("card", cards.ALL, ids=lambda card: card.name)
def test_every_figure_is_drawn(client, ready, card):
    outputs = [(card.part("graph"), "figure"), (card.part("message"), "children"), (card.part("place"), "className")]
    inputs = [("classes-selection", "data", QUERY), ("theme", "data", "dark"), ("classes-paths", "data", None)]
    response = call(client, outputs, inputs).json["response"]
    assert response[card.part("place")]["className"] == "figure-place"
    assert response[card.part("graph")]["figure"]["data"]


def test_two_classes_are_compared_in_numbers_and_examples(client, ready, services):
    names = ("classes-summary", "classes-pair-numbers", "classes-pair-examples")
    inputs = [("classes-selection", "data", QUERY), ("classes-paths", "data", None)]
    text = call(client, [(name, "children") for name in names], inputs).text
    assert "shared synapses" in text
    assert "Test images of 5" in text
    paths = services.normal_paths.ask("lenet5-digits", 0.5).normal.class_paths.paths
    assert f"{paths[3].jaccard(paths[5]):.3f}" in text


def test_without_a_pair_the_most_similar_one_is_compared(client, ready, services):
    card = cards.PAIR
    outputs = [(card.part("graph"), "figure"), (card.part("message"), "children"), (card.part("place"), "className")]
    inputs = [("classes-selection", "data", ""), ("theme", "data", "light"), ("classes-paths", "data", None)]
    response = call(client, outputs, inputs).json["response"]
    paths = services.normal_paths.ask("lenet5-digits", 0.5).normal.class_paths.paths
    likeness, first, second = max((paths[a].jaccard(paths[b]), a, b) for a in range(10) for b in range(a))
    numbers = [
        ("classes-summary", "children"),
        ("classes-pair-numbers", "children"),
        ("classes-pair-examples", "children"),
    ]
    told = str(call(client, numbers, [inputs[0], inputs[2]]).json["response"])
    assert f"{second} and {first}" in told
    assert f"{likeness:.3f}" in told
    shown = str(response[card.part("graph")]["figure"])
    assert all(layer in shown for layer in paths[0].layers)


def test_finished_class_paths_are_read_from_disk_by_another_server(ready, services, tmp_path):
    import shutil

    from dashboard.services import Services
    from dashboard.settings import Settings

    shutil.copytree(services.settings.data_dir / "cache", tmp_path / "cache")
    other = Services.create(Settings(data_dir=tmp_path))
    deadline(lambda: other.normal_paths.ask("lenet5-digits", 0.5).normal, seconds=20)
    one, two = (s.normal_paths.ask("lenet5-digits", 0.5).normal for s in (services, other))
    assert one.bands == two.bands
    assert one.class_paths.paths[0] == two.class_paths.paths[0]


def test_a_damaged_file_is_set_aside_and_computed_again(ready, services, tmp_path):
    import shutil

    from dashboard.services import Services
    from dashboard.settings import Settings

    shutil.copytree(services.settings.data_dir / "cache", tmp_path / "cache")
    folder = tmp_path / "cache" / "class-paths"
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    other = Services.create(Settings(data_dir=tmp_path))
    deadline(lambda: other.normal_paths.ask("lenet5-digits", 0.5).normal)
    assert list(folder.glob("*.damaged"))
