"""The Detect page's callbacks over a small study that a job has run, and its detectors' verdicts on Inspect."""

import base64
import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from dashboard.pages.detect import cards
from dashboard.pages.inspect import cards as inspect_cards
from dashboard.selection import parse_query
from dashboard.services.jobs.detection_settings import check, link, study_settings
from dashboard.studies.form import StudyForm, attack_choices
from engine.detection.protocol import scores_of
from engine.errors import InvalidInputError
from tests.dashboard.answers import deadline, there
from tests.dashboard.conftest import asked, call, drawn

FORM = StudyForm(attacks=(("fgsm", None), ("deepfool", None)), images=40, share=0.5, sweeps=("last-layers",))
MODEL = "lenet5-digits"


@pytest.fixture(scope="module")
def study(services):
    """The id of a finished study."""
    job = services.studies.submit(MODEL, 0.5, 0, FORM)
    deadline(lambda: services.jobs.job(job.id).has_ended)
    ended = services.jobs.job(job.id)
    assert ended.state == "done", services.jobs.log(job.id)
    return ended


def query(study, **fields):
    return f"?model={MODEL}&study={study.id}" + "".join(f"&{name}={value}" for name, value in fields.items())


def inputs_of(search):
    return [("detect-selection", "data", search), ("theme", "data", "light"), ("detect-outcome", "data", "x")]


def tell(client, search):
    names = ("summary", "adaptive", "confusion", "missed", "attacked")
    outputs = [(f"detect-{name}", "children") for name in names]
    answer = call(client, outputs, [("detect-selection", "data", search), ("detect-outcome", "data", "x")])
    assert answer.status_code == 200, answer.text[:500]
    response = answer.json["response"]
    return {name: response.get(f"detect-{name}", {}).get("children") for name in names}


@pytest.mark.parametrize("card", cards.ALL, ids=lambda card: card.name)
def test_every_figure_is_drawn(client, study, card):
    swept = [("detect-swept", "value", "last-layers")] if card is cards.SWEEP else []
    response = drawn(client, card, [*inputs_of(query(study)), *swept])
    assert response[card.part("place")]["className"] == "figure-place"
    assert response[card.part("graph")]["figure"]["data"]


def test_a_figure_that_a_method_does_not_have_says_so(client, study):
    response = drawn(client, cards.COEFFICIENTS, inputs_of(query(study, method="random_forest")))
    assert "only joint similarity" in json.dumps(response)
    for field in ("method", "against"):
        response = drawn(client, cards.ROC, inputs_of(query(study, **{field: "nonsense"})))
        assert "nonsense" in json.dumps(response)


def test_the_answer_always_says_how_the_detector_fares_against_one_who_knows_it(client, services, study):
    report = services.studies.outcome(study.id, MODEL)
    for method in report["methods"]:
        told = json.dumps(tell(client, query(study, method=method))["summary"], ensure_ascii=False)
        fares = report["methods"][method]["adaptive"]
        assert f"misleads the model on {fares['misled']} of {fares['images']} images" in told
        assert f"unnoticed on {fares['missed']}." in told


def test_the_threshold_decides_what_is_flagged_and_what_is_wrong(client, services, study):
    details = services.studies.outcome(study.id, MODEL)["methods"]["joint_similarity"]
    normal, attacked = np.array(details["normal"]["scores"]), np.array(details["attacked"]["FGSM"]["scores"])
    threshold = float(np.median(attacked))
    told = tell(client, query(study, threshold=f"{threshold:.10g}"))
    table = json.dumps(told["confusion"])
    for count in ((attacked > threshold).sum(), (attacked <= threshold).sum(), (normal > threshold).sum()):
        assert f'"{count}"' in table
    missed = [details["attacked"]["FGSM"]["sources"][row] for row in np.flatnonzero(attacked <= threshold)]
    links = [urlsplit(href) for href in hrefs(told["missed"])]
    shown = [int(parse_qs(one.query)["image"][0].removeprefix("test:")) for one in links]
    assert shown[0] == details["attacked"]["FGSM"]["sources"][int(attacked.argmin())]
    assert set(shown) >= set(missed[:24])
    everything = tell(client, query(study, threshold=-1e6))
    assert not [href for href in hrefs(everything["missed"]) if "attack=fgsm" not in href]
    assert f"({len(normal)}" in json.dumps(everything["missed"])


def hrefs(part):
    return [piece.split('"')[0] for piece in json.dumps(part).split('"href": "')[1:]]


def test_a_missed_image_opens_under_the_studys_attack_with_its_detector(client, services, study):
    href = hrefs(tell(client, query(study, threshold=1e6, against="DeepFool"))["missed"])[0]
    selection = services.select("?" + urlsplit(href).query)
    assert (selection.attack, selection.epsilon, selection.detector) == (
        "deepfool",
        None,
        (study.id, "joint_similarity"),
    )
    details = services.studies.outcome(study.id, MODEL)["methods"]["joint_similarity"]["attacked"]["DeepFool"]
    place = details["sources"].index(int(selection.image.removeprefix("test:")))
    deadline(lambda: services.normal_paths.ask(MODEL, 0.5).normal)
    class_paths = services.normal_paths.ask(MODEL, 0.5).normal.class_paths
    subject = there(lambda: services.inspections.inspect(selection)).adversarial
    judged = there(lambda: services.studies.judge(MODEL, selection.detector, subject, class_paths)).explanation
    assert judged.score == pytest.approx(details["scores"][place], abs=1e-4)  # what the study measured of the batch


def test_inspect_gives_the_verdict_and_what_each_layer_adds(client, services, study):
    search = f"?model={MODEL}&image=test:3&attack=deepfool&detector={study.id}:joint_similarity"
    told = asked(
        client, "inspect-judged", [("inspect-judged", "children")], [("inspect-selection", "data", search)]
    )  # fmt: skip
    text = json.dumps(told, ensure_ascii=False)
    assert "Joint similarity" in text
    assert "calls the attacked image" in text
    assert "An attack that knows the detector" in text
    card = inspect_cards.DETECTOR
    response = drawn(client, card, [("inspect-selection", "data", search), ("theme", "data", "light")])
    assert response[card.part("place")]["className"] == "figure-place"
    own = services.studies.card(MODEL, (study.id, "joint_similarity"))
    trained = f"?model={MODEL}&image=test:{own.train_images[0]}&detector={study.id}:joint_similarity"
    told = asked(client, "inspect-judged", [("inspect-judged", "children")], [("inspect-selection", "data", trained)])
    assert "was fitted on this image" in json.dumps(told)


def test_without_a_detector_inspect_says_nothing_of_one(client):
    told = asked(client, "inspect-judged", [("inspect-judged", "children")], [("inspect-selection", "data", "")])
    assert told["inspect-judged"]["children"] is None


def test_saved_detectors_are_offered_for_their_model_alone(services, study):
    saved = services.studies.saved(MODEL)
    assert {(one.study, one.name) for one in saved} >= {(study.id, "joint_similarity"), (study.id, "random_forest")}
    assert "FGSM, DeepFool" in saved[0].label
    with pytest.raises(InvalidInputError, match="no fitted detector"):
        services.studies.card(MODEL, (study.id, "ada_boost"))


def test_a_saved_forest_scores_as_the_study_did(services, study):
    details = services.studies.outcome(study.id, MODEL)["methods"]["random_forest"]
    estimator, card = services.studies._loaded(MODEL, (study.id, "random_forest"))
    assert card.threshold == pytest.approx(details["threshold"], abs=1e-5)
    assert len(scores_of(estimator, np.array([card.usual]))) == 1


def follow(client, search, followed=None):
    outputs = [(f"detect-{name}", prop) for name, prop in (("status", "children"), ("outcome", "data"))]
    outputs += [("detect-results", "hidden"), ("detect-followed", "data")]
    inputs = [("jobs-tick", "data", 1), ("detect-selection", "data", search)]
    return call(client, outputs, inputs, [("detect-followed", "data", followed)])


def test_a_study_is_followed_to_its_end_and_then_shown(client, study):
    response = follow(client, query(study)).json["response"]
    assert response["detect-results"]["hidden"] is False
    assert study.id in response["detect-outcome"]["data"]
    again = follow(client, query(study), response["detect-followed"]["data"])
    assert again.status_code == 204  # nothing has changed


def test_a_study_that_is_stopped_says_how_it_ended(client, services, study):
    job = services.studies.submit(MODEL, 0.5, 0, StudyForm(images=900, baselines=("attention",)))
    try:
        waiting = follow(client, query(job)).text
        assert "queue" in waiting or "%" in waiting or "starting" in waiting
    finally:
        services.jobs.cancel(job.id)
    deadline(lambda: services.jobs.job(job.id).has_ended)
    told = follow(client, query(job)).json["response"]
    assert "cancelled" in json.dumps(told["detect-status"])
    assert told["detect-results"]["hidden"] is True


def test_the_same_study_is_not_made_twice(services, study):
    assert services.studies.submit(MODEL, 0.5, 0, FORM).id == study.id
    other = StudyForm(**{name: getattr(FORM, name) for name in FORM.__slots__ if name != "images"}, images=41)
    job = services.studies.submit(MODEL, 0.5, 0, other)
    assert job.id != study.id
    services.jobs.cancel(job.id)
    deadline(lambda: services.jobs.job(job.id).has_ended)


def test_the_link_of_a_job_shows_its_outcome_and_its_form(services, study):
    selection = services.select("?" + urlsplit(link(study)).query)
    assert selection.study == study.id
    assert selection.study_form == FORM


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attacks", ""), ("attacks", "fgsm,nonsense"), ("attacks", "fgsm:nonsense"), ("detectors", ","),
        ("detectors", "svm"), ("baselines", "x"), ("sweeps", "x"), ("images", "3"), ("images", "many"),
        ("part", "neurons"), ("layers", "-1"), ("share", "0"), ("share", "nan"), ("budget", "2"),
        ("study", "f" * 32), ("job", "../.."), ("detector", "f" * 32 + ":joint_similarity"), ("detector", "x"),
        ("threshold", "high"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_form_is_a_field_error(services, field, value):
    parsed = parse_query(f"?{field}={value}", services.choices)
    assert list(parsed.errors) == [field]


def test_a_job_with_wrong_settings_is_refused_before_it_waits(services):
    for settings in ({}, {"model": MODEL}, {"model": MODEL, "weights": "x", "images": 3}, {"model": MODEL, "code": 1}):
        with pytest.raises(InvalidInputError):
            services.jobs.submit("detection", settings, label="x")


def test_reports_can_be_saved(client, study):
    for button, start in (("html", "<!doctype html>"), ("json", "{")):
        inputs = [(f"detect-report-{kind}", "n_clicks", 1) for kind in ("html", "json")]
        answer = call(
            client, [("detect-report-file", "data")], inputs, [("detect-selection", "data", query(study))],
            changed=f"detect-report-{button}.n_clicks",
        )  # fmt: skip
        content = base64.b64decode(answer.json["response"]["detect-report-file"]["data"]["content"]).decode()
        assert content.lower().startswith(start)


@pytest.mark.slow
def test_weights_that_changed_since_fail_the_job(services):
    job = services.jobs.submit("detection", study_settings(MODEL, "0" * 64, 0.5, 0, FORM), label="changed")
    deadline(lambda: services.jobs.job(job.id).has_ended)
    assert "has changed since" in services.jobs.job(job.id).error


def test_a_study_of_another_model_is_not_shown_under_this_one(client, services, study, monkeypatch):
    other = services.choices.get(MODEL).classifier
    changed = replace(services.choices.get(MODEL), classifier=replace(other, key="0" * 64))
    monkeypatch.setattr(services.choices, "get", lambda name: changed)
    assert "another model" in follow(client, query(study)).text
    response = drawn(client, cards.ROC, inputs_of(query(study)))
    assert response[cards.ROC.part("place")]["className"] == "figure-place is-error"
    assert "another model" in json.dumps(response)
    assert services.studies.saved(MODEL) == []
    with pytest.raises(InvalidInputError, match="another model"):
        services.studies.card(MODEL, (study.id, "joint_similarity"))


def test_a_removed_study_is_said_to_be_gone(client):
    told = follow(client, f"?model={MODEL}&study={'e' * 32}").json["response"]
    assert "there is no such job" in json.dumps(told["detect-status"])


def test_a_threshold_of_ones_own_judges_on_inspect_too(client, services, study):
    search = f"?model={MODEL}&image=test:3&attack=deepfool&detector={study.id}:joint_similarity&study={study.id}"
    told = asked(
        client, "inspect-judged", [("inspect-judged", "children")],
        [("inspect-selection", "data", f"{search}&method=joint_similarity&threshold=1000")],
    )  # fmt: skip
    assert "your threshold 1e+03" in json.dumps(told)
    told = asked(
        client, "inspect-judged", [("inspect-judged", "children")],
        [("inspect-selection", "data", f"{search}&method=random_forest&threshold=1000")],
    )  # fmt: skip
    assert "your threshold" not in json.dumps(told)


def test_links_to_mistakes_repeat_the_studys_seed_and_judge_with_its_detector(client, study):
    for href in hrefs(tell(client, query(study, threshold="0", seed=7))["missed"]):
        asked_for = parse_qs(urlsplit(href).query)
        assert asked_for["seed"] == ["0"]
        assert asked_for["detector"] == [f"{study.id}:joint_similarity"]


def test_all_attacks_can_be_ticked_and_a_long_link_is_refused_without_harm(client, services):
    everything = parse_query("?attacks=" + ",".join(attack_choices()), services.choices)
    assert not everything.errors
    assert len(everything.selection.study_form.attacks) == len(attack_choices())
    long = "?method=" + "x" * 5000
    assert follow(client, long).status_code == 200
    answer = call(
        client, [("detect-chosen", "children"), ("detect-earlier", "children")],
        [("detect-selection", "data", long), ("detect-outcome", "data", None)],
    )  # fmt: skip
    assert answer.status_code == 200


def test_lists_come_in_one_order_so_that_the_same_choice_is_the_same_study(services):
    given = parse_query("?sweeps=theta,training-size&attacks=bim,fgsm", services.choices).selection.study_form
    assert given.sweeps == ("training-size", "theta")
    assert given.attacks == (("fgsm", None), ("bim", None))


def test_a_study_of_another_version_is_not_offered(services, study):
    assert study.settings["version"]
    assert study.id in [job.id for job in services.studies.finished(MODEL)]
    settings = dict(study.settings) | {"version": "0.0.0", "images": "44"}
    assert check(settings)["version"] != "0.0.0"


def test_too_few_images_to_fit_on_are_refused_before_the_attacks(services):
    settings = dict(services.studies.submit(MODEL, 0.5, 0, FORM).settings) | {"images": "20", "share": "0.01"}
    with pytest.raises(InvalidInputError, match="to fit on"):
        check(settings)
