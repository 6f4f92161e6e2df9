"""Comparisons of models and views over training: what may be asked for, and what jobs make of it."""

import itertools
import json
from dataclasses import replace

import pytest

from dashboard.services.jobs import comparison, comparison_settings, hardening, phases, phases_settings
from dashboard.services.jobs.comparison_settings import comparison_settings as compared
from dashboard.services.jobs.hardening_files import REPORT
from dashboard.services.jobs.phases_settings import phases_settings as phased
from dashboard.studies.harden_form import HardenForm
from engine.errors import Cancelled, EngineError, InvalidInputError
from engine.robustness.plans import AttackPlan
from engine.robustness.presets import Preset
from tests.dashboard.hardening_runs import FORM, PARENT, Runs, job_of, settings_of


@pytest.fixture(scope="module")
def runs(services):
    made = Runs(services)
    yield made
    made.forget()


@pytest.fixture(scope="module")
def finished(services, runs):
    """A hardening that went through: the job's id, its folder, its summary."""
    return runs.run(hardening, settings_of(services, FORM + "&seed=3"))


@pytest.fixture
def few_attacks(monkeypatch, request):
    """A comparison of two attacks; of how many steps the second is, a test may say."""
    steps = getattr(request, "param", 2)

    def preset_for(data):
        plans = (AttackPlan("FGSM", "fgsm"), AttackPlan("PGD", "pgd_linf", {"steps": steps}))
        return Preset("few", "Few", plans, ("Others, which this test leaves out.",), (0, 0.1, 0.2))

    monkeypatch.setattr(comparison, "preset_for", preset_for)
    monkeypatch.setattr(comparison, "PATH_IMAGES_A_CLASS", 3)


def test_models_are_compared_on_the_same_images(services, runs, finished, few_attacks):
    child = json.loads((finished[1] / REPORT).read_text())["model"]
    keys = {name: services.choices.get(name).classifier.key for name in (PARENT, child)}
    settings = compared(PARENT, keys[PARENT], {child: keys[child]}, 20, 0)
    _, result, summary = runs.run(comparison, settings)
    report = json.loads((result / REPORT).read_text())
    assert summary["images"] == 20
    assert [model["name"] for model in report["models"]] == [PARENT, child]
    assert report["models"][1]["parent"] == PARENT
    for study, key in zip(report["studies"], keys.values(), strict=True):
        assert study["table"]["model_key"] == key
        assert [row["label"] for row in study["table"]["rows"]] == ["Clean", "FGSM", "PGD"]
        assert study["curve"]["epsilons"] == [0.0, 0.1, 0.2]
    assert {row["attack"] for row in report["comparison"]["differences"]} == {"Clean", "FGSM", "PGD"}
    assert report["left_out"] == ["Others, which this test leaves out."]
    assert [model["model"] for model in report["effects"]["models"]] == [PARENT, child]
    assert report["effects"]["path_images"] == 30
    assert report["no_effects"] == ""


@pytest.mark.parametrize("few_attacks", [1000], indirect=True)
def test_an_attack_that_would_take_long_is_left_out_and_named(services, tmp_path, few_attacks, monkeypatch):
    loaded = services.choices.get(PARENT)
    now = itertools.count(0, 0.5)  # every look at the clock is half a second later
    monkeypatch.setattr(comparison, "monotonic", lambda: next(now))
    found = comparison.affordable(loaded.classifier, loaded.dataset, 10, 0, tmp_path, lambda fraction, message: None)
    assert [plan.label for plan in found.plans] == ["FGSM"]
    assert "PGD: it would take about" in found.left_out[-1]
    assert "10 images" in found.left_out[-1]

    def stop(fraction, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled, match="stop"):
        comparison.affordable(loaded.classifier, loaded.dataset, 10, 0, tmp_path / "none", stop)


def test_a_comparison_is_asked_for_with_the_form_and_its_link_asks_again(services, monkeypatch):
    asked = compared(PARENT, "key", {"b": "2", "a": "1"}, 30, 2)
    assert (asked["others"], asked["others_weights"]) == ("a,b", "1,2")
    assert comparison_settings.check(json.loads(json.dumps(asked))) == asked
    address = comparison_settings.link(job_of(asked, kind="comparison"))
    form = services.parse(address.partition("?")[2])
    assert set(form.errors) == {"beside", "comparison"}  # there are no such models and no such job here
    assert form.values["harden_form"].judged == 30
    for change in ({"others_weights": "1"}, {"judged": 5}, {"others": f"{PARENT},a"}, {"weights": ""}, {"more": 1}):
        with pytest.raises(EngineError):
            comparison_settings.check(asked | change)
    taken = []
    monkeypatch.setattr(services.jobs, "submit", lambda kind, settings, label: taken.append((kind, settings, label)))
    services.comparisons.submit(services.select(f"?model={PARENT}&beside={PARENT}&judged=20"))
    ((kind, settings, label),) = taken
    assert (kind, settings["others"], label.partition(" · ")[0]) == ("comparison", "", "Robustness")


def test_models_of_other_data_cannot_be_compared(services, monkeypatch):
    usual = services.choices.get(PARENT)
    other = replace(usual, dataset=replace(usual.dataset, key="other", label="Others"))
    monkeypatch.setattr(services.choices, "get", lambda name: other if name == "other" else usual)
    selection = replace(services.select(""), harden_form=HardenForm(beside=("other",)))
    with pytest.raises(InvalidInputError, match="is for Others"):
        services.comparisons.submit(selection)


def test_the_view_over_training_has_a_phase_for_every_epoch(services, runs, finished):
    job_id, result, _ = finished
    name = json.loads((result / REPORT).read_text())["model"]
    settings = phased(name, services.choices.get(name).classifier.key, job_id, 20)
    _, folder, summary = runs.run(phases, settings)
    report = json.loads((folder / REPORT).read_text())
    assert [phase["epoch"] for phase in report["phases"]] == [1, 2]
    assert summary == {"epochs": 2, "images": 20}
    assert all(0 < phase["density"] < 1 for phase in report["phases"])


def test_why_there_is_no_view_over_training(services, finished, monkeypatch):
    assert "was not trained here" in services.phases.reason(PARENT)
    name = json.loads((finished[1] / REPORT).read_text())["model"]
    assert "was removed" in services.phases.reason(name)  # this test's job is not in the list
    run = job_of(settings_of(services), job_id=finished[0])
    monkeypatch.setattr(services.jobs, "job", lambda job_id: run)
    assert services.phases.reason(name) == ""
    taken = []
    monkeypatch.setattr(services.jobs, "submit", lambda kind, settings, label: taken.append(settings))
    services.phases.submit(services.select(f"?model={name}&phased=40"))
    assert taken[0] == phased(name, services.choices.get(name).classifier.key, finished[0], 40)
    assert phases_settings.check(taken[0]) == taken[0]
    assert phases_settings.link(job_of(taken[0], kind="phases")).startswith(f"/classes?model={name}&phased=40&phases=")
    with pytest.raises(EngineError, match="the id of a job"):
        phases_settings.check(taken[0] | {"harden": "../../etc"})
    with pytest.raises(InvalidInputError, match="are gone"):
        phases.checkpoints(services.settings.data_dir / "jobs" / ("e" * 32))


@pytest.mark.slow
def test_a_comparison_with_the_preset_of_its_data_runs_through(services, runs):
    key = services.choices.get(PARENT).classifier.key
    _, result, _ = runs.run(comparison, compared(PARENT, key, {}, 40, 0))
    report = json.loads((result / REPORT).read_text())
    rows = {row["label"]: row for row in report["studies"][0]["table"]["rows"]}
    assert {"Clean", "PGD L∞ 0.3", "C&W L2", "SPSA 0.3"} <= set(rows)
    assert rows["PGD L∞ 0.3"]["accuracy"] < 0.2 < rows["Clean"]["accuracy"]
    assert report["studies"][0]["table"]["checks"]
    assert report["comparison"] is None
