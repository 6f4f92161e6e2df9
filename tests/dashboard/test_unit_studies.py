"""Studies of units: what may be asked for, how the URL names it, and the jobs that make them."""

import json
from dataclasses import fields, replace

import pytest

from dashboard.selection import picked_text
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.unit_settings import checked, form_of, link, unit_settings
from dashboard.studies.unit_form import UnitForm, read_unit_form
from engine.errors import EngineError, InvalidInputError

QUERY = "?model=lenet5-digits&attack=fgsm&epsilon=0.2&pairs=20&where=after&top=0.2&routed=20"


def settings(services, kind="sensitivity", search=QUERY):
    selection = services.select(search)
    return unit_settings(kind, "key", selection, selection.unit_form, {})


def job_of(kind, settings, job_id="0" * 32):
    rest = {field.name: None for field in fields(Job)}
    return Job(**rest | {"id": job_id, "kind": kind, "label": "label", "settings": settings, "state": "done"})


def test_the_url_keeps_a_form_and_says_what_is_wrong(services):
    selection = services.select(QUERY)
    assert selection.unit_form == UnitForm(pairs=20, where="after", top=0.2, routed=20)
    assert services.select(selection.to_query()) == selection
    errors = services.parse("?pairs=3&where=between&top=0&routed=x&instance=2&kept=0&others=nobody").errors
    assert set(errors) == {"pairs", "where", "top", "routed", "instance", "kept", "others"}
    assert "there is no model 'nobody'" in errors["others"]
    assert read_unit_form({"others": "a,b,c,d,e"})[1]["others"].endswith("got 5.")


def test_picked_units_are_read_and_written(services):
    selection = services.select("?picked=conv2:4.0.4,conv1:3&act=weaken&factor=0.25&unit=conv1:2&layer=conv1")
    assert selection.picked == (("conv2", (0, 4)), ("conv1", (3,)))
    assert (selection.act, selection.factor, selection.unit, selection.layer) == ("weaken", 0.25, ("conv1", 2), "conv1")
    assert services.select(selection.to_query()) == selection
    assert picked_text([("a", ()), ("b", (1, 2))]) == "b:1.2"
    errors = services.parse("?picked=conv2:a&act=explode&factor=2&unit=conv1").errors
    assert set(errors) == {"picked", "act", "factor", "unit"}


def test_settings_hold_the_whole_attack_and_survive_the_check(services):
    asked = settings(services)
    assert asked["attack_settings"]["epsilon"] == 0.2
    assert checked("sensitivity", asked) == asked
    assert checked("sensitivity", json.loads(json.dumps(asked))) == asked
    assert form_of(asked) == UnitForm(pairs=20, where="after", top=0.2)
    assert "routed" in settings(services, "route")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pairs": "1"}, "pairs"),
        ({"attack": "none"}, "none"),
        ({"attack_settings": {"epsilon": 7}}, "ε|epsilon"),
        ({"attack_settings": {"power": 7}}, "no setting 'power'"),
        ({"attack_settings": [1]}, "settings by name"),
        ({"weights": ""}, "weights"),
        ({"more": 1}, "no setting 'more'"),
    ],
)
def test_wrong_settings_never_reach_the_queue(services, change, sentence):
    with pytest.raises(EngineError, match=sentence):
        checked("sensitivity", settings(services) | change)


def test_the_link_of_a_job_leads_to_its_view(services):
    for kind, path in (("sensitivity", "/sensitivity?"), ("route", "/route?")):
        address = link(job_of(kind, settings(services, kind)))
        assert address.startswith(path)
        parsed = services.parse(address.partition("?")[2])
        assert set(parsed.errors) == {kind}  # there is no such job here; all else is read again
        assert (parsed.values["attack"], parsed.values["epsilon"]) == ("fgsm", 0.2)


def test_models_for_other_images_cannot_be_compared(services, monkeypatch):
    selection = services.select("?model=lenet5-digits")
    selection = replace(selection, unit_form=UnitForm(others=("large",)))
    usual = services.choices.get("lenet5-digits")
    large = replace(usual, classifier=replace(usual.classifier, image_shape=(3, 32, 32)))
    monkeypatch.setattr(services.choices, "get", lambda name: large if name == "large" else usual)
    with pytest.raises(InvalidInputError, match=r"takes \(3, 32, 32\)"):
        services.sensitivity.submit(selection)
