"""The Harden page's callbacks, and the view over training on the Classes page, over a small hardening."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.application import create_app
from dashboard.components.job_parts import time_left
from dashboard.pages.classes import cards as class_cards
from dashboard.pages.harden import cards, ids, layout, ways, words
from dashboard.pages.harden.beside import beside
from dashboard.pages.unit_pages import element_id
from dashboard.services import EXTENSION
from dashboard.services.hardenings import Hardenings
from dashboard.services.jobs.hardening_settings import link
from dashboard.settings import Settings
from engine.errors import EngineError, InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.hardening.estimate import Estimate
from tests.dashboard.answers import deadline, json_of, text_of
from tests.dashboard.conftest import asked, close, drawn
from tests.dashboard.harden_parts import answer, pressed

MODEL = "lenet5-digits"
FORM = f"?model={MODEL}&epochs=2&trained=60&with.steps=1"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """An application of its own: the models that are made here are seen nowhere else."""
    folder = tmp_path_factory.mktemp("harden-home")
    made = create_app(Settings(data_dir=folder, datasets_dir=folder / "none"))
    yield made
    close(made)


@pytest.fixture(scope="module")
def services(app):
    return app.server.extensions[EXTENSION]


@pytest.fixture(scope="module")
def hardened(services):
    """A finished hardening."""
    job = services.hardenings.submit(services.select(FORM))
    deadline(lambda: services.jobs.job(job.id).has_ended)
    ended = services.jobs.job(job.id)
    assert ended.state == "done", services.jobs.log(job.id)
    return ended


@pytest.fixture(scope="module")
def child(services, hardened):
    return services.hardenings.report(hardened)["model"]


@pytest.fixture
def stopped(services, hardened, monkeypatch):
    """The hardening as if it had been stopped."""

    def stop(state="cancelled", kept=1, error=None):
        job = replace(hardened, state=state, error=error)
        curves = services.hardenings.report(hardened)["curves"]
        monkeypatch.setattr(Hardenings, "job", lambda self, *_: job)
        monkeypatch.setattr(Hardenings, "kept_epochs", lambda self, _: kept)
        monkeypatch.setattr(Hardenings, "curves", lambda self, _: {**curves, "epochs": kept} if kept else None)

    return stop


def followed(app, client, search):
    return answer(app, client, "jobs-tick.data", {f"{ids.SELECTION}.data": search}, f"{ids.STATUS}.")


def built(app, services, **query):
    with app.server.app_context():
        return json_of(layout.build(services, {"model": MODEL, **query}))


@pytest.mark.parametrize("entry", hardening_methods, ids=lambda entry: entry.name)
def test_the_form_has_every_method_with_a_line_its_paper_and_its_settings(app, services, entry):
    text = built(app, services, way=entry.name)
    assert ways.in_words(entry.name) in text
    assert entry.paper in text
    for parameter in entry.parameters:
        assert f"with.{parameter.name}" in text
        assert parameter.help in text
    assert ("Weight of the stability" in text) == (entry.name == "sns")


def test_what_is_usual_stands_where_nothing_is_said(app, services):
    text = built(app, services, way="pat")
    usual = services.hardenings.usual(services.select(f"?model={MODEL}"))
    assert f'"placeholder": "{usual.epochs}"' in text
    assert f'"placeholder": "{dict(usual.ways)["steps"]}"' in text
    assert f"usual: {usual.start}" in text
    assert '"value": "7"' in built(app, services, epochs="7")
    other = built(app, services, way="sns", start="scratch")  # what is usual of a start is that of the method
    assert "usual: parent" in other
    assert f'"placeholder": "{usual.epochs}"' in other  # and of the rest that of the start


def test_the_time_left_is_told_once(hardened):
    running = replace(hardened, state="running", ended=None, seconds_left=20.0, message="Epoch 1 of 2")
    assert time_left(running) == "about 20 s left"
    assert time_left(replace(running, message="Epoch 1 of 2, batch 3 of 9, loss 1.5, 6 s left")) == ""


def test_a_method_that_no_one_described_is_told_by_its_own_words(monkeypatch):
    monkeypatch.setattr(ways, "_WORDS", {})
    assert ways.in_words("pat").startswith("Training on clean and attacked images in equal parts")


def test_how_long_it_takes_is_said_before_it_starts(client, services, hardened):
    inputs = [(ids.SELECTION, "data", f"?model={MODEL}&epochs=1&trained=64"), (ids.OUTCOME, "data", None)]
    response = asked(client, ids.ESTIMATE, [(ids.ESTIMATE, "children")], inputs)
    assert "on this machine, measured on a few batches" in text_of(response[ids.ESTIMATE]["children"])
    inputs[0] = (ids.SELECTION, "data", f"{FORM}&harden={hardened.id}")  # how long that takes was seen
    assert asked(client, ids.ESTIMATE, [(ids.ESTIMATE, "children")], inputs)[ids.ESTIMATE]["children"] is None
    inputs[0] = (ids.SELECTION, "data", f"?model={MODEL}&trained=9999999")
    response = asked(client, ids.ESTIMATE, [(ids.ESTIMATE, "children")], inputs)
    assert "training images, which there are" in text_of(response[ids.ESTIMATE]["children"])


def test_an_estimate_is_a_sentence():
    found = Estimate(epoch=4.0, preparation=0.0, total=43.2, batch=0.1, batches=40, epochs=10)
    assert words.estimate_words(found).startswith("About 43 s on this machine, measured on a few batches.")


@pytest.mark.parametrize(
    ("field", "text"),
    [("way", "none"), ("epochs", "0"), ("rate", "fast"), ("batch", "1.5"), ("trained", "-1"), ("start", "middle"),
     ("seed", "x"), ("with.steps", "0"), ("with.nonsense", "1")],
)  # fmt: skip
def test_what_is_wrong_in_the_form_is_said_and_nothing_is_started(app, client, services, field, text):
    before, search = len(services.jobs.jobs()), f"?model={MODEL}&{field}={text}"
    response = pressed(app, client, search)
    assert services.parse(search).errors[field] in text_of(response[ids.NOTE]["children"])
    assert response[ids.FORM]["open"] is True
    assert len(services.jobs.jobs()) == before
    assert client.get(f"/harden{search}").status_code == 200
    assert f"with.{'steps'}" in built(app, services, **{field: text}) or field == "way"


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=30))
def test_no_text_in_a_field_breaks_the_page(app, services, text):
    assert built(app, services, epochs=text, beside=text, **{"with.steps": text})


def test_the_same_hardening_is_not_done_twice(app, client, services, hardened):
    response = pressed(app, client, FORM + "&rank=7")  # what another page has wrong does not matter
    store = element_id(ids.submitted("harden"))
    assert response[store]["data"]["job"] == hardened.id
    assert "done before" in text_of(response[ids.NOTE]["children"])
    assert response[ids.FORM]["open"] is False


def test_what_came_of_it_is_said_with_numbers_and_links_to_the_new_model(app, client, services, hardened, child):
    search = f"{FORM}&image=test:3&harden={hardened.id}"
    seen = followed(app, client, search)
    assert seen[ids.OUTCOME]["data"]
    assert seen[ids.CURVES]["hidden"] is False
    assert answer(app, client, "jobs-tick.data", {f"{ids.SELECTION}.data": search, f"{ids.FOLLOWED}.data":
                  seen[ids.FOLLOWED]["data"]}, f"{ids.STATUS}.") is None  # fmt: skip
    told = answer(app, client, f"{ids.OUTCOME}.data", {f"{ids.SELECTION}.data": search}, f"{ids.TRAINED}.")
    text = text_of(told[ids.TRAINED]["children"])
    report = services.hardenings.report(hardened)
    assert "was trained for 2 epochs" in text
    assert f"{100 * report['card']['test_accuracy']:.1f}\u00a0% of the test images right (its parent: " in text
    assert f"PGD L∞ attacks them at ε = {report['curves']['epsilon']:.3g}" in text
    assert told[ids.ANSWER]["hidden"] is False
    links = json.dumps(told)
    assert f"/?model={child}&image=test%3A3" in links
    assert f"/sensitivity?model={child}" in links
    assert "harden=" not in links


@pytest.mark.parametrize("card", cards.RUNNING, ids=lambda card: card.name)
def test_the_learning_curves_are_drawn(client, hardened, card):
    inputs = [(ids.SELECTION, "data", f"{FORM}&harden={hardened.id}"), ("theme", "data", "light")]
    response = drawn(client, card, [*inputs, (ids.EPOCHS, "data", "x")])
    assert response[card.part("place")]["className"] == "figure-place"
    assert len(response[card.part("graph")]["figure"]["data"]) == 3


@pytest.mark.parametrize(
    ("state", "kept", "error", "said"),
    [("cancelled", 1, None, "Cancelled: stopped after epoch 1 of 2. What it had learned by then is kept."),
     ("failed", 1, "The loss is NaN in epoch 2.", "failed: stopped after epoch 1 of 2. The loss is NaN in epoch 2."),
     ("interrupted", 0, None, "Interrupted before its first epoch was finished. There is nothing to keep.")],
)  # fmt: skip
def test_a_stopped_hardening_says_what_it_left_and_what_can_be_done(
    app, client, hardened, stopped, state, kept, error, said
):
    stopped(state, kept, error)
    seen = followed(app, client, f"{FORM}&harden={hardened.id}")
    assert said in text_of(seen[ids.STATUS]["children"])
    parts = json.dumps(seen[ids.STATUS]["children"])
    assert ("Keep it as a model" in parts) == bool(kept)
    assert '"do": "again"' in parts
    assert seen[ids.OUTCOME]["data"] is None
    assert seen[ids.CURVES]["hidden"] is not bool(kept)


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_stopped_one_left_is_kept_as_a_model(app, client, services, hardened, child, monkeypatch, is_there):
    def keep(self, job):
        if not is_there:
            raise InvalidInputError("There is nothing to keep.")
        return child

    monkeypatch.setattr(Hardenings, "keep", keep)
    trigger = f"{element_id(ids.keep(['ALL']))}.n_clicks".replace(" ", "")
    values = {trigger: [(ids.keep(hardened.id), 1)], "pressed": f"{element_id(ids.keep(hardened.id))}.n_clicks"}
    found = answer(app, client, trigger, values)
    text = text_of(found[ids.KEPT_NOTE]["children"])
    assert ("kept as" in text) == is_there
    assert (found.get(ids.KEPT, {}).get("data", {}).get("name") == child) == is_there
    assert ("nothing to keep" in text) != is_there


def test_own_models_are_listed_and_can_be_chosen(app, client, services, child):
    found = answer(app, client, f"{ids.REMOVED}.data", {}, f"{ids.OWN}.")
    text = text_of(found[ids.OWN]["children"])
    labels = services.choices.labels()
    assert f"{labels[child]}{labels[MODEL]}PAT" in text
    assert child in [one["value"] for one in found[ids.MODEL]["options"]]


def test_a_model_is_removed_only_after_a_question(app, client, services, child, monkeypatch):
    removed = []
    monkeypatch.setattr(Hardenings, "remove", lambda self, name: removed.append(name))
    trigger = f"{element_id(ids.remove(['ALL']))}.n_clicks".replace(" ", "")
    values = {trigger: [(ids.remove(child), 1)], "pressed": f"{element_id(ids.remove(child))}.n_clicks"}
    question = answer(app, client, trigger, values)
    assert question[ids.REMOVE_DIALOG]["is_open"] is True
    assert "cannot be undone" in question[ids.REMOVE_WORDS]["children"]
    assert not removed
    yes = {f"{ids.REMOVE_YES}.n_clicks": 1, f"{ids.REMOVING}.data": question[ids.REMOVING]["data"]}
    found = answer(app, client, f"{ids.REMOVE_YES}.n_clicks", yes)
    assert removed == [child]
    assert "was removed" in text_of(found[ids.OWN_NOTE]["children"])

    def refuse(self, name):
        raise EngineError("a job uses it")

    monkeypatch.setattr(Hardenings, "remove", refuse)
    assert (
        "a job uses it"
        in answer(app, client, f"{ids.REMOVE_YES}.n_clicks", yes)[ids.OWN_NOTE]["children"]["props"]["children"]
    )


def test_the_new_model_is_ticked_for_a_comparison_until_others_are_chosen(app, client, services, hardened, child):
    search = f"{FORM}&harden={hardened.id}"
    found = answer(app, client, f"{ids.KEPT}.data", {f"{ids.SELECTION}.data": search}, f"{ids.SHOWN}.")
    part = element_id(ids.field("beside"))
    assert found[part]["value"] == [child]
    assert [one["value"] for one in found[part]["options"]] == [child]  # no model of other data
    assert found[ids.COMPARISON_PART]["hidden"] is False
    assert beside(services, services.parse(f"?model={MODEL}")).ticked == [child]  # its card names the parent
    assert beside(services, services.parse(f"?model={MODEL}&beside=nobody")).ticked == []
    assert beside(services, services.parse(f"?model={child}")).ticked == []
    assert beside(services, services.parse(f"?model={child}&beside={MODEL}")).ticked == [MODEL]


def test_a_comparison_is_asked_for_with_what_is_ticked(app, client, services, child, monkeypatch):
    asked_for = []

    def submit(selection):
        asked_for.append(selection.harden_form)
        return SimpleNamespace(id="f" * 32, state="queued")

    monkeypatch.setattr(services.comparisons, "submit", submit)
    ticked = f"{element_id(ids.field('beside'))}.value"
    found = pressed(app, client, f"{FORM}&judged=20", ids.COMPARE, **{ticked: [child]})
    assert found[element_id(ids.submitted("comparison"))]["data"]["job"] == "f" * 32
    assert asked_for[0].beside == (child,)
    assert asked_for[0].judged == 20
    nothing = pressed(app, client, FORM, ids.COMPARE, **{ticked: []})
    assert "Tick a model" in text_of(nothing[ids.COMPARE_NOTE]["children"])
    wrong = pressed(app, client, f"{FORM}&judged=2", ids.COMPARE, **{ticked: [child]})
    assert "judged" in text_of(wrong[ids.COMPARE_NOTE]["children"])
    assert len(asked_for) == 1


def test_a_link_from_the_jobs_page_shows_the_hardening(app, client, services, hardened):
    path, _, query = link(hardened).partition("?")
    assert path == "/harden"
    parsed = services.parse(f"?{query}")
    assert not parsed.errors
    assert pressed(app, client, f"?{query}")[element_id(ids.submitted("harden"))]["data"]["job"] == hardened.id


def _over_training(search):
    inputs = [("classes-selection", "data", search), ("theme", "data", "light")]
    return [*inputs, ("classes-phases-outcome", "data", "x")]


def test_a_model_without_a_training_says_why_there_is_nothing_to_follow(app, client, services):
    card, search = class_cards.PHASES, f"?model={MODEL}"
    assert "was not trained here" in text_of(
        drawn(client, card, _over_training(search))[card.part("message")]["children"]
    )
    seen = answer(app, client, "jobs-tick.data", {"classes-selection.data": search}, "classes-phases-status.")
    assert seen["classes-phases-form"]["hidden"] is seen["classes-phases-compute"]["hidden"] is True


def test_a_training_can_be_followed_once_somebody_asks(app, client, services, child, monkeypatch):
    card, search = class_cards.PHASES, f"?model={child}"
    assert "press the button" in text_of(drawn(client, card, _over_training(search))[card.part("message")]["children"])
    seen = answer(app, client, "jobs-tick.data", {"classes-selection.data": search}, "classes-phases-status.")
    assert seen["classes-phases-form"]["hidden"] is seen["classes-phases-compute"]["hidden"] is False
    job = SimpleNamespace(id="f" * 32, state="queued")
    monkeypatch.setattr(services.phases, "submit", lambda selection: job)
    clicked = {"classes-phases-compute.n_clicks": 1, "classes-selection.data": search}
    found = answer(app, client, "classes-phases-compute.n_clicks", clicked)
    assert found["classes-phases-submitted"]["data"]["job"] == job.id


def test_the_newest_view_over_a_training_is_shown(app, client, services, child, monkeypatch, drawn_anew):
    job = SimpleNamespace(id="f" * 32, state="done", has_ended=True, ended=1.0, settings={"phased": 300})
    phase = {"similarity": [0.25, 0.5], "density": 0.1, "accuracy": 0.5}
    report = {"phases": [{"epoch": 1, **phase}, {"epoch": 2, **phase, "accuracy": 0.75}], "images": 30, "held_out": 9}
    monkeypatch.setattr(services.phases, "finished", lambda model: [job])
    monkeypatch.setattr(services.phases, "job", lambda study, model: job)
    monkeypatch.setattr(services.phases, "outcome", lambda study, model: report)
    card, search = class_cards.PHASES, f"?model={child}"
    response = drawn(client, card, _over_training(search))
    assert len(response[card.part("graph")]["figure"]["data"]) == 3
    seen = answer(app, client, "jobs-tick.data", {"classes-selection.data": search}, "classes-phases-status.")
    text = seen["classes-phases-words"]["children"].replace("\u00a0", " ")
    assert "From epoch 1 to 2: accuracy from 50.0 % to 75.0 %" in text
    assert seen["classes-phases-compute"]["hidden"] is True
    others = {"classes-selection.data": f"{search}&phased=50"}  # as many images as were not looked at yet
    seen = answer(app, client, "jobs-tick.data", others, "classes-phases-status.")
    assert seen["classes-phases-compute"]["hidden"] is False
