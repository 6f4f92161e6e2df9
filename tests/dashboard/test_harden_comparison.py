"""What the Harden page shows of a comparison of models."""

import base64
import json

import pytest

from dashboard.components.figure_card import Nothing
from dashboard.pages.harden import cards, ids, words
from dashboard.pages.harden.tables import robustness_table
from dashboard.pages.harden.view import View
from dashboard.pages.unit_pages import element_id
from tests.dashboard.answers import json_of, text_of
from tests.dashboard.conftest import drawn
from tests.dashboard.harden_parts import answer, comparison, pressed, study

FORM = "?model=lenet5-digits"


@pytest.fixture
def compared(services, monkeypatch, drawn_anew):
    """Puts a report in the place of a comparison's; the URL that shows it."""

    def compare(**parts):
        report = comparison(**parts)
        monkeypatch.setattr(services.comparisons, "outcome", lambda study, model: report)
        monkeypatch.setattr(services.choices, "has_job", lambda job: True)
        return f"{FORM}&comparison={'0' * 32}"

    return compare


def test_the_answer_tells_accuracy_robustness_and_what_changed_inside(app, client, compared):
    found = answer(app, client, f"{ids.COMPARISON_OUTCOME}.data", {f"{ids.SELECTION}.data": compared()},
                   f"{ids.COMPARED}.")  # fmt: skip
    text = text_of(found[ids.COMPARED]["children"]).replace("\u00a0", " ")
    assert "Hard instead of Plain, on 50 test images:" in text
    assert "Accuracy: 96.0 % right instead of 100.0 % (worse)." in text
    assert "PGD L∞ 0.1 leaves 60.0 % instead of 10.0 %. Under 1 of 2 attacks" in text
    assert "moves its units less, by 0.25 instead of 0.5" in text
    assert "use 20.0 % of the synapses instead of 10.0 %, and two classes share 50.0 % of theirs" in text
    assert "mean class similarity 0.5" in text_of(found[ids.SIMILARITY_NOTE]["children"])
    assert "40 test images that all models classify correctly" in found[ids.UNITS_NOTE]["children"]


def test_the_table_has_intervals_verdicts_and_the_best_in_bold():
    parts = robustness_table(View(comparison(), "conv1"))
    text, shown = text_of(parts).replace("\u00a0", " "), json_of(parts)
    assert "100.0 % 90–10096.0 % 86–100worse (−4.0 points)" in text
    assert "60.0 % 50–70better (+50.0 points)" in text
    assert "SPSA 0.1 · black-box · 20 images20.0 % 10–3020.0 % 10–30no difference shown" in text
    assert '{"props": {"children": "60.0\u00a0%"}, "type": "Strong"' in shown
    assert "No sign of gradient masking" in text
    assert "AutoAttack, which takes minutes." in text


def test_a_warning_stands_beside_the_number_and_is_explained():
    sentence = "SPSA, which asks for answers alone, beats PGD."
    check = {"name": "x", "label": "y", "verdict": "warning", "sentence": sentence, "concerned": ["PGD L∞ 0.1"]}
    passed = {"name": "z", "label": "Noise is weak", "verdict": "not checked", "sentence": "Needs 30 images."}
    studies = [study((1.0, 0.1, 0.2), checks=[passed]), study((1.0, 0.6, 0.2), [sentence], [check])]
    parts = robustness_table(View(comparison(studies=studies), "conv1"))
    assert json_of(parts).count("bi-exclamation-triangle-fill") == 2
    assert f"Hard: {sentence}" in text_of(parts)
    assert "Could not be told: Noise is weak (Needs 30 images.)" in text_of(parts)


@pytest.mark.parametrize("card", cards.COMPARED, ids=lambda card: card.name)
def test_every_figure_of_a_comparison_is_drawn(client, compared, card):
    response = drawn(client, card, _shown(compared()))
    assert response[card.part("place")]["className"] == "figure-place"
    assert len(response[card.part("graph")]["figure"]["data"]) == 2


def test_what_is_not_known_of_the_inside_is_said(app, client, compared):
    reason = "There is no image that all of them classify correctly."
    search = compared(effects=None, no_effects=reason)
    for card in (cards.LAYERS, cards.UNITS, cards.DENSITY):
        assert reason in text_of(drawn(client, card, _shown(search))[card.part("message")]["children"])
    found = answer(app, client, f"{ids.COMPARISON_OUTCOME}.data", {f"{ids.SELECTION}.data": search}, f"{ids.COMPARED}.")
    assert reason in text_of(found[ids.COMPARED]["children"])


def test_layers_are_offered_and_one_of_another_model_stays_in_the_url(app, client, compared):
    part, search = element_id(ids.field("layer")), compared()
    look = f"{ids.COMPARISON_OUTCOME}.data"
    found = answer(app, client, look, {f"{ids.SELECTION}.data": search}, f"{ids.LOOK}.")
    assert found[part]["value"] == "conv2"
    assert found[ids.LOOK]["data"]["layer"] == "conv2"
    found = answer(app, client, look, {f"{ids.SELECTION}.data": f"{search}&layer=fc1"}, f"{ids.LOOK}.")
    assert found[part]["options"][-1] == {"value": "fc1", "label": "fc1 (not in this comparison)"}
    message = drawn(client, cards.UNITS, _shown(f"{search}&layer=fc1"))[cards.UNITS.part("message")]
    assert "has no layer 'fc1'; it has: conv1, conv2" in text_of(message["children"])


def test_several_models_are_told_of_one_by_one():
    found = comparison()
    found["models"].append({"name": "c", "label": "Third"})
    found["studies"].append(study((0.5, 0.5, 0.5)))
    text = text_of(words.summary(View(found, "conv1"))).replace("\u00a0", " ")
    assert "Compared with Plain, on 50 test images:" in text
    assert "Hard: 96.0 % right instead of 100.0 % (worse). PGD L∞ 0.1 leaves 60.0 %" in text
    assert "Third: 50.0 % right" in text


def test_the_report_can_be_saved(app, client, compared):
    found = pressed(app, client, compared(), ids.REPORT_JSON)
    saved = json.loads(base64.b64decode(found[ids.REPORT_FILE]["data"]["content"]))
    assert saved["images"] == 50


def _shown(search):
    return [(ids.SELECTION, "data", search), ("theme", "data", "dark"), (ids.COMPARISON_OUTCOME, "data", "x")]


def test_units_of_a_layer_that_no_model_has_are_nothing():
    with pytest.raises(Nothing, match="no layer"):
        View(comparison(), "fc9").units()
