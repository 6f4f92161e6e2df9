"""What the Inspect page says in words: the verdict, the account of an upload, the pin, the list of targets."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dashboard.components.pictures import png_bytes
from dashboard.pages.attack_form import target_options
from dashboard.pages.inspect import cards
from dashboard.pages.inspect.uploading import preparation
from dashboard.pages.inspect.verdict import verdict
from dashboard.pages.wording import with_article
from dashboard.services.computations import Pending
from engine.errors import EngineError
from tests.dashboard.answers import deadline
from tests.dashboard.conftest import told_image, words
from tests.dashboard.test_inspect import draw, send

QUERY = "?model=lenet5-digits&image=test:17&attack=pgd_linf&epsilon=0.2"
NAMES = ("airplane", "cat", "ship")


def text(parts):
    """The words of a list of components."""
    return "".join(part if isinstance(part, str) else text(part.children) for part in parts)


@dataclass
class Subject:
    ranking: tuple


def told(clean, adversarial, low, *, before=0, after=1, counts=(5, 5, 5), scored=True, norm="linf", linf=0.1):
    """The verdict on an image whose similarities and bands are given per layer."""
    result = SimpleNamespace(
        predictions_before=[before],
        predictions_after=[after],
        scored=[scored],
        success=[before != after],
        linf=[linf],
        l2=[2.5],
    )
    view = SimpleNamespace(
        class_names=NAMES,
        result=result,
        true_class=0,
        clean=Subject((before,)),
        adversarial=Subject((after,)),
    )
    similar = SimpleNamespace(clean=clean, adversarial=adversarial)
    bands = {1: (low, dict.fromkeys(low, 1.0))}
    normal = SimpleNamespace(class_paths=SimpleNamespace(counts=np.array(counts)), bands=bands)
    return text(verdict(view, norm, similar, normal))


def test_the_layer_farthest_below_its_band_is_named_not_the_largest_fall():
    # The largest fall is in conv1, within its band; fc2 falls less but is below its own.
    said = told({"conv1": 1.0, "fc2": 0.97}, {"conv1": 0.8, "fc2": 0.93}, {"conv1": 0.7, "fc2": 0.95})
    assert "leaves the class path of cat most in layer fc2" in said
    assert "similarity 0.930 (the original on that of airplane: 0.970)" in said
    assert "(0.950 to 1.000)" in said


def test_it_stays_only_when_no_layer_is_below():
    said = told({"conv1": 1.0, "fc2": 0.97}, {"conv1": 0.8, "fc2": 0.96}, {"conv1": 0.7, "fc2": 0.95})
    assert "stays with the class path of cat" in said
    assert "in no layer" in said


def test_within_one_class_the_original_is_not_named_twice():
    said = told({"fc": 1.0}, {"fc": 0.5}, {"fc": 0.9}, after=0)
    assert "The attack fails: still airplane with a change of at most 0.1 (L∞)." in said
    assert "similarity 0.500 (the original: 1.000)" in said


def test_a_class_without_a_path_is_not_measured_against():
    said = told({"fc": 1.0}, {"fc": 0.0}, {"fc": 0.9}, counts=(5, 0, 5))
    assert "The class path of cat is empty: the model classifies no training image of it correctly." in said
    assert "0.000" not in said
    said = told({"fc": 0.0}, {"fc": 0.5}, {"fc": 0.9}, counts=(0, 5, 5))
    assert "airplane, the original's class, has no path" in said


def test_an_image_that_is_misclassified_already_is_not_called_attacked():
    said = told({"fc": 0.95}, {"fc": 0.95}, {"fc": 0.9}, before=1, after=1, scored=False, linf=0.0)
    assert said.startswith("The model calls this airplane a cat without any attack;")
    assert "The path of the image stays" in said
    assert "attacked image" not in said


def test_the_size_of_a_change_is_told_in_its_norm():
    assert "airplane → cat with a change of 2.5 (L2)." in told({}, {}, {}, norm="l2")
    assert "airplane → cat with a change of at most 0.1 (L∞)." in told({}, {}, {})


def test_the_verdict_agrees_with_the_chart_of_the_digits(client, services):
    deadline(lambda: services.normal_paths.ask("lenet5-digits", 0.5).normal)
    said = str(words(client, "?model=lenet5-digits&image=test:0&epsilon=0.05")["inspect-verdict"])
    assert "leaves the class path" in said
    assert "below the band" in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [("7", "a 7"), ("8", "an 8"), ("11", "an 11"), ("18", "an 18"), ("airplane", "an airplane"), ("cat", "a cat")],
)
def test_articles(name, expected):
    assert with_article(name) == expected


def test_articles_follow_the_sound():
    assert with_article("unicycle") == "a unicycle"
    assert with_article("umbrella") == "an umbrella"


@pytest.mark.parametrize(
    ("size", "mode", "steps"),
    [
        ((28, 28), "L", []),
        ((40, 40), "L", ["resized to 28 × 28"]),
        ((1, 1), "L", ["resized to 28 × 28"]),
        ((28, 40), "L", ["the middle 28 × 28 cut out"]),
        ((60, 40), "RGB", ["the middle 40 × 40 cut out", "resized to 28 × 28", "colour to gray"]),
    ],
)
def test_the_account_of_an_upload_tells_what_was_done(size, mode, steps):
    assert preparation(Image.new(mode, size), (1, 28, 28)) == steps


def test_an_upload_is_shown_with_its_account(client):
    image = send(client, png_bytes(np.zeros((1, 40, 40))))["inspect-uploaded"]["data"]
    response = told_image(client, f"?model=lenet5-digits&image={image}")
    assert "40 × 40: resized to 28 × 28" in str(response["inspect-seen"])
    assert response["inspect-which"]["children"] == "your image"


def test_targets_leave_out_the_class_of_the_image_unless_it_is_chosen():
    assert [option["value"] for option in target_options(NAMES, 1, None)] == ["any", "0", "2"]
    assert [option["value"] for option in target_options(NAMES, 1, 1)] == ["any", "0", "1", "2"]


def test_the_image_is_told_without_its_attack(client, services, monkeypatch):
    services.inspections.subject("lenet5-digits", "test:17")

    def never(*_):
        raise Pending(0.3, "step 3 of 10")

    monkeypatch.setattr(type(services.inspections), "inspect", never)
    label = services.inspections.subject("lenet5-digits", "test:17").label
    response = told_image(client, QUERY)
    assert response["inspect-label"]["children"] == f", {with_article(str(label))},"
    assert str(label) not in [option["value"] for option in response["inspect-target"]["options"]]
    assert draw(client, cards.ORIGINAL)[cards.ORIGINAL.part("place")]["className"] == "figure-place"


def test_the_strip_stays_while_its_images_do(client):
    shown = [{"type": "inspect-thumb", "index": index} for index in range(16)]
    assert "inspect-strip" in told_image(client, "?model=lenet5-digits&image=test:3")
    assert "inspect-strip" not in told_image(client, "?model=lenet5-digits&image=test:3", shown)
    assert "inspect-strip" in told_image(client, "?model=lenet5-digits&image=test:16", shown)


@pytest.mark.usefixtures("drawn_anew")
def test_a_failed_class_path_is_an_error_in_its_card(client, services, monkeypatch):
    failed = SimpleNamespace(error="the disk is full.", normal=None, asked=1.0)
    monkeypatch.setattr(type(services.normal_paths), "ask", lambda *_: failed)
    response = draw(client, cards.RANK_1, paths=True)
    assert response[cards.RANK_1.part("place")]["className"] == "figure-place is-error"
    assert "the disk is full." in str(response[cards.RANK_1.part("message")])


@pytest.mark.usefixtures("drawn_anew")
def test_a_line_against_an_empty_class_path_is_left_out(client, services, monkeypatch):
    deadline(lambda: services.normal_paths.ask("lenet5-digits", 0.5).normal)
    work = services.normal_paths.ask("lenet5-digits", 0.5)
    start = int(services.inspections.subject("lenet5-digits", "test:17").ranking[0])
    counts = work.normal.class_paths.counts.copy()
    counts[start] = 0
    normal = replace(work.normal, class_paths=replace(work.normal.class_paths, counts=counts))
    monkeypatch.setattr(type(services.normal_paths), "ask", lambda *_: SimpleNamespace(error=None, normal=normal))
    figure = draw(client, cards.RANK_1, paths=True)[cards.RANK_1.part("graph")]["figure"]
    assert "clean" not in [trace.get("name") for trace in figure["data"]]
    assert f"no class path:<br>clean: {start}" in str(figure["layout"]["annotations"])


def test_a_pinned_image_is_named_with_its_class_and_drawn_as_a_third_bar(client, services):
    label = services.inspections.subject("lenet5-digits", "test:3").label
    card = cards.PROBABILITIES
    figure = draw(client, card, search=f"{QUERY}&pin=test:3")[card.part("graph")]["figure"]
    assert [trace["name"] for trace in figure["data"]] == ["clean", "adversarial", "reference"]
    note = words(client, f"{QUERY}&pin=test:3", pin=True)
    assert f"test image 3, {with_article(str(label))}" in str(note["inspect-pin-note"])
    assert "not drawn here" in note["inspect-graph-note"]["children"]


def test_an_attack_that_is_under_way_is_asked_for_again(client, services, monkeypatch):
    waits = iter([Pending(0.25, "step 1 of 4")])
    real = type(services.inspections).inspect

    def slow(self, selection):
        pending = next(waits, None)
        if pending:
            raise pending
        return real(self, selection)

    monkeypatch.setattr(type(services.inspections), "inspect", slow)
    response = words(client, QUERY, once=True)
    assert response["inspect-verdict"]["children"] == "Computing, 25 %: step 1 of 4"
    assert response["inspect-verdict-retry"]["disabled"] is False
    assert "Computing" not in str(words(client, QUERY)["inspect-verdict"])


def test_an_error_of_the_paths_leaves_the_outcome_of_the_attack(client, services, monkeypatch):
    def fail(*_):
        raise EngineError("no path.")

    monkeypatch.setattr(type(services.inspections), "path", fail)
    assert "Its paths cannot be shown: no path." in str(words(client, QUERY)["inspect-verdict"])
