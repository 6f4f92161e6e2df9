"""The Sensitivity page's form: what is asked for, and what is wrong with it."""

import json

import pytest

from dashboard.pages.sensitivity.page import comparable
from tests.dashboard.answers import deadline

MODEL = "lenet5-digits"
FORM = f"?model={MODEL}&attack=fgsm&epsilon=0.2&pairs=30"


@pytest.fixture
def study(services):
    """The study that the form asks for, made before."""
    job = services.sensitivity.submit(services.select(FORM))
    deadline(lambda: services.jobs.job(job.id).has_ended)
    return job


def pressed(app, client, search):
    """The answer to the button."""
    output = next(name for name, one in app.callback_map.items() if one["inputs"][0]["id"] == "sensitivity-ask")
    parts = [one.rpartition(".") for one in output.strip(".").split("...")]
    body = {
        "output": output,
        "outputs": [{"id": name, "property": prop} for name, _, prop in parts],
        "inputs": [{"id": "sensitivity-ask", "property": "n_clicks", "value": 1}],
        "state": [{"id": "sensitivity-selection", "property": "data", "value": search}],
        "changedPropIds": ["sensitivity-ask.n_clicks"],
    }
    return client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json").json[
        "response"
    ]


def test_the_button_asks_for_a_study_once(app, client, services, study):
    response = pressed(app, client, FORM)
    assert response["sensitivity-submitted"]["data"]["job"] == study.id
    assert "made before" in json.dumps(response["sensitivity-note"])
    assert response["sensitivity-form"]["open"] is False


@pytest.mark.parametrize(
    ("field", "text"),
    [("pairs", "3"), ("where", "between"), ("top", "0"), ("others", "nobody"), ("others", MODEL + ",a,b,c,d,e"),
     ("epsilon", "7"), ("seed", "-1"), ("set.nonsense", "1"), ("attack", "none")],
)  # fmt: skip
def test_what_is_wrong_in_the_form_is_said_and_nothing_is_started(app, client, services, field, text):
    before = len(services.jobs.jobs())
    search = f"?model={MODEL}&{field}={text}"
    assert field in services.parse(search).errors
    response = pressed(app, client, search)
    assert "text-danger" in json.dumps(response["sensitivity-note"])
    assert response["sensitivity-form"]["open"] is True
    assert "sensitivity-submitted" not in response
    assert len(services.jobs.jobs()) == before
    assert client.get(f"/sensitivity{search}").status_code == 200


def test_what_another_page_has_wrong_does_not_matter(app, client, services, study):
    response = pressed(app, client, FORM + "&image=test:99999999&rank=7")
    assert response["sensitivity-submitted"]["data"]["job"] == study.id


def test_models_for_the_same_images_can_be_compared(services):
    parsed = services.parse(f"?model={MODEL}")
    assert comparable(services, parsed) == {"lenet5-mnist": services.choices.labels()["lenet5-mnist"]}
    assert comparable(services, services.parse("?model=nobody")) == {}
