"""Hardenings: what may be asked for, what jobs make of it, what is kept of a stopped one, and the models there are."""

import json
import math
import shutil
import uuid
from dataclasses import replace

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file

from dashboard.pages.jobs.words import settings_in_words
from dashboard.services.estimates import scaled
from dashboard.services.jobs import (
    hardening,
)
from dashboard.services.jobs.comparison_settings import comparison_settings as compared
from dashboard.services.jobs.failures import sentence_of
from dashboard.services.jobs.hardening_files import EPOCHS, REPORT, RUN, last_good
from dashboard.services.jobs.hardening_settings import MAX_NAME, check, link, model_name
from engine.errors import Cancelled, EngineError, InvalidInputError, UnknownNameError
from engine.hardening.estimate import Estimate
from engine.hardening.hardening import usual_method
from engine.hardening.settings import TrainingSettings, training_preset
from engine.hardening.state import MANIFEST
from tests.dashboard.answers import deadline, there
from tests.dashboard.hardening_runs import FORM, PARENT, Runs, job_of, settings_of


@pytest.fixture(scope="module")
def runs(services):
    made = Runs(services)
    yield made
    made.forget()


@pytest.fixture(scope="module")
def finished(services, runs):
    """A hardening that went through: the job's id, its folder, its summary."""
    return runs.run(hardening, settings_of(services))


@pytest.fixture(scope="module")
def stopped_once(services, runs):
    """The id of one that was stopped in its second epoch."""
    job_id = uuid.uuid4().hex
    with pytest.raises(Cancelled):
        runs.run(hardening, settings_of(services, FORM + "&seed=1"), job_id, until=0.6)
    return job_id


@pytest.fixture
def stopped(services, runs, stopped_once):
    """The same as a job of its own."""
    job_id = uuid.uuid4().hex
    runs.ids.append(job_id)
    shutil.copytree(runs.folder(stopped_once), runs.folder(job_id))
    return job_of(settings_of(services, FORM + "&seed=1"), "cancelled", job_id=job_id)


def test_what_the_form_leaves_open_is_the_preset_of_method_start_and_data(services):
    selection = services.select(f"?model={PARENT}")
    usual, data = services.hardenings.usual(selection), services.choices.get(PARENT).dataset
    preset = training_preset("lenet5", data, "scratch")
    assert (usual.start, usual.epochs, usual.rate, usual.batch) == (
        "scratch", preset.epochs, preset.lr, preset.batch_size,
    )  # fmt: skip
    assert usual.trained == len(data.train)
    assert dict(usual.ways) == usual_method("pat", data).settings
    sns = services.select(f"?model={PARENT}&way=sns&epochs=3&with.share=0.2")
    # For the placeholder; what is given stands in the settings.
    assert services.hardenings.usual(sns).epochs == training_preset("lenet5", data, "parent").epochs
    asked = settings_of(services, f"?model={PARENT}&way=sns&epochs=3&with.share=0.2")
    assert (asked["start"], asked["epochs"], asked["way_settings"]["share"]) == ("parent", 3, 0.2)


def test_settings_survive_the_check_and_the_link_asks_for_the_same(services):
    asked = settings_of(services, FORM + "&with.epsilon=0.12345678901234&seed=4")
    assert check(asked) == asked == check(json.loads(json.dumps(asked)))
    address = link(job_of(asked))
    assert address.startswith("/harden?")
    parsed = services.parse(address.partition("?")[2])
    assert set(parsed.errors) == {"harden"}  # there is no such job here; all else is read again
    again = services.select(address.partition("?")[2].replace("harden=" + "0" * 32, ""))
    assert settings_of(services, again.to_query()) == asked


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"way": "magic"}, "way: expected one of vanilla"),
        ({"way_settings": {"power": 1}}, "no such setting"),
        ({"way_settings": {"epsilon": 7}}, "epsilon"),
        ({"way_settings": [1]}, "settings by name"),
        ({"epochs": None}, "epochs: expected a value"),
        ({"epochs": 0}, "epochs"),
        ({"rate": math.nan}, "rate"),
        ({"start": "elsewhere"}, "start"),
        ({"seed": -1}, "seed"),
        ({"weights": ""}, "weights"),
        ({"model": 3}, "model"),
        ({"more": 1}, "no setting 'more'"),
    ],
)
def test_wrong_settings_never_reach_the_queue(services, change, sentence):
    with pytest.raises(EngineError, match=sentence):
        check(settings_of(services) | change)


def test_more_images_than_there_are_and_models_that_could_not_be_loaded_again_are_refused(services, monkeypatch):
    with pytest.raises(InvalidInputError, match="trained: expected at most"):
        services.hardenings.submit(services.select(f"?model={PARENT}&trained=100000"))
    usual = services.choices.get(PARENT)
    own = replace(usual, classifier=replace(usual.classifier, architecture="mine:net"))
    monkeypatch.setattr(services.choices, "get", lambda name: own)
    with pytest.raises(InvalidInputError, match="architecture is in the catalogue"):
        services.hardenings.submit(services.select(f"?model={PARENT}"))


def test_names_end_in_the_hash_of_the_settings_and_do_not_grow(services):
    asked = settings_of(services)
    name = model_name(asked)
    assert name.startswith(f"{PARENT}-pat-")
    assert len(name) == len(f"{PARENT}-pat-") + 8
    child = model_name(asked | {"model": name, "way": "sns"})
    assert child.startswith(f"{PARENT}-sns-")
    assert model_name(asked | {"model": name + "-epoch12"}).startswith(f"{PARENT}-pat-")
    assert model_name(asked | {"seed": 1}) != name
    assert len(model_name(asked | {"model": "x" * 90, "way": "route_gradient"})) <= MAX_NAME


def test_a_finished_run_is_a_model_that_can_be_chosen_at_once(services, finished):
    job_id, result, summary = finished
    report = json.loads((result / REPORT).read_text())
    name = report["model"]
    assert summary["model"] == name == model_name(settings_of(services))
    assert services.choices.labels()[name] == report["label"]
    classifier = services.choices.get(name).classifier
    assert classifier.card["job"] == job_id
    assert (classifier.card["parent"], classifier.card["method"]) == (PARENT, "pat")
    assert classifier.key != services.choices.get(PARENT).classifier.key
    assert report["curves"]["epochs"] == report["curves"]["epochs_wanted"] == 2
    assert [file.name for file in sorted((result / EPOCHS).iterdir())] == [f"epoch-00{n}.safetensors" for n in (1, 2)]
    last = load_file(result / EPOCHS / "epoch-002.safetensors")
    assert all(last[key].equal(value) for key, value in classifier.module.state_dict().items())
    (own,) = [model for model in services.hardenings.models() if model.name == name]
    assert (own.parent, own.way, own.way_label, own.job, own.problem) == (PARENT, "pat", "PAT", job_id, "")
    assert own.accuracy == pytest.approx(report["card"]["test_accuracy"])


def test_a_second_model_of_the_same_label_is_told_apart(services, finished, runs):
    _, result, _ = runs.run(hardening, settings_of(services, FORM.replace("epochs=2", "epochs=1")))
    report = json.loads((result / REPORT).read_text())
    assert report["label"].endswith(f"PAT ({report['model'][-8:][:4]})")
    services.hardenings.remove(report["model"])


def test_a_stopped_run_keeps_its_checkpoint_and_ends_as_if_it_had_not_been_stopped(services, runs, stopped):
    work = runs.folder(stopped.id) / "work"
    assert services.hardenings.curves(stopped)["epochs"] == services.hardenings.kept_epochs(stopped) == 1
    assert services.hardenings.curves(stopped)["epochs_wanted"] == 2
    assert services.hardenings.kept_epochs(replace(stopped, state="running")) == 0
    first = (work / RUN / "epoch-001.safetensors").stat().st_mtime_ns
    _, resumed, _ = runs.run(hardening, dict(stopped.settings), stopped.id)
    assert (resumed / EPOCHS / "epoch-001.safetensors").stat().st_mtime_ns == first  # it went on
    _, whole, _ = runs.run(hardening, dict(stopped.settings))
    files = [folder / EPOCHS / "epoch-002.safetensors" for folder in (resumed, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()
    services.hardenings.remove(model_name(stopped.settings))


def test_the_last_good_checkpoint_becomes_a_model_once(services, runs, stopped):
    name = services.hardenings.keep(stopped)
    assert name == model_name(stopped.settings) + "-epoch1"
    assert services.hardenings.keep(stopped) == name
    classifier = services.choices.get(name).classifier
    card = classifier.card
    assert (card["stopped_after"], card["epochs"], card["parent"], card["job"]) == (1, 1, PARENT, stopped.id)
    assert classifier.label.endswith("PAT, epoch 1")
    kept = load_file(last_good(runs.folder(stopped.id) / "work").weights)
    assert all(kept[key].equal(value) for key, value in classifier.module.state_dict().items())
    (own,) = [model for model in services.hardenings.models() if model.name == name]
    assert own.accuracy == card["curves"]["clean"]
    services.hardenings.remove(name)
    assert name not in services.choices.model_names()


def test_what_is_not_there_cannot_be_kept(services, runs, stopped):
    with pytest.raises(InvalidInputError, match="it is done"):
        services.hardenings.keep(replace(stopped, state="done"))
    run = runs.folder(stopped.id) / "work" / RUN
    weights = run / "epoch-001.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(InvalidInputError, match="damaged"):
        services.hardenings.keep(stopped)
    (run / MANIFEST).unlink()
    assert services.hardenings.kept_epochs(stopped) == 0
    with pytest.raises(InvalidInputError, match="before its first epoch"):
        services.hardenings.keep(stopped)


def test_a_run_that_fails_says_what_the_engine_says_and_not_where_its_folder_is(services, runs, monkeypatch):
    def harden(*args, folder, **options):
        try:
            raise MemoryError
        except MemoryError as error:
            words = "epoch 2, batch 3: memory ran out; lower the batch size. The last good checkpoint is"
            raise EngineError(f"{words} {folder / 'epoch-001.safetensors'}.") from error

    monkeypatch.setattr(hardening, "harden", harden)
    with pytest.raises(EngineError) as raised:
        runs.run(hardening, settings_of(services))
    sentence = sentence_of(raised.value, "")
    assert sentence.startswith("epoch 2, batch 3: memory ran out; lower the batch size.")
    assert sentence.endswith("The last good checkpoint is epoch-001.safetensors.")


def test_a_full_disk_is_called_so(services, runs, monkeypatch):
    def harden(*args, **options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(hardening, "harden", harden)
    with pytest.raises(OSError, match="os error 28") as raised:
        runs.run(hardening, settings_of(services))
    assert sentence_of(raised.value, "here").startswith("disk full")


@pytest.mark.slow
def test_a_state_of_another_version_is_not_gone_on_from(services, runs, stopped):
    manifest = runs.folder(stopped.id) / "work" / RUN / MANIFEST
    about = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(about | {"about": about["about"] | {"version": "0.0.0"}}))
    _, result, _ = runs.run(hardening, dict(stopped.settings), stopped.id)
    assert len(list((result / EPOCHS).iterdir())) == 2
    services.hardenings.remove(model_name(stopped.settings))


def test_a_model_in_use_or_of_the_program_cannot_be_removed(services, finished, monkeypatch):
    name = json.loads((finished[1] / REPORT).read_text())["model"]
    using = job_of(settings_of(services) | {"model": name}, "queued")
    monkeypatch.setattr(services.jobs, "jobs", lambda: [using])
    with pytest.raises(InvalidInputError, match="uses it"):
        services.hardenings.remove(name)
    comparing = job_of({"model": PARENT, "others": f"x,{name}"}, "running", "comparison")
    monkeypatch.setattr(services.jobs, "jobs", lambda: [comparing])
    with pytest.raises(InvalidInputError, match="uses it"):
        services.hardenings.remove(name)
    monkeypatch.setattr(services.jobs, "jobs", lambda: [replace(comparing, state="done")])
    with pytest.raises(InvalidInputError, match="part of the program"):
        services.hardenings.remove(PARENT)
    with pytest.raises(UnknownNameError):
        services.hardenings.remove("nobody")


def test_the_time_is_estimated_before_anything_is_started(services):
    selection = services.select(FORM)
    found = there(lambda: services.estimates.estimate(selection))
    assert (found.epochs, found.batches) == (2, 3)
    assert 0 < found.epoch < found.total
    assert services.estimates.estimate(selection) is found
    wrong = services.select(f"?model={PARENT}&way=sns&start=scratch")
    with pytest.raises(EngineError, match="start from the parent"):
        there(lambda: services.estimates.estimate(wrong))


def test_the_settings_of_these_jobs_are_words_on_the_jobs_page(services):
    rows = dict(settings_in_words(services, job_of(settings_of(services))))
    assert rows["Method"] == "PAT"
    assert (rows["Epochs"], rows["First weights"], rows["Training images"]) == ("2", "parent", "48")
    assert "steps: 1" in rows["Settings of the method"]
    other = compared(PARENT, "f" * 64, {PARENT: "e" * 64}, 30, 2)
    rows = dict(settings_in_words(services, job_of(other, kind="comparison")))
    assert rows["Compared with"] == services.choices.labels()[PARENT]
    assert rows["Their weights"] == "eeeeeeeeeeee… (checksum)"


@pytest.mark.slow
def test_a_job_is_cancelled_within_seconds_kept_and_run_again_to_the_same_weights(services, runs):
    """Through the queue, in processes of its own; the run that is not interrupted is made in this one."""
    search = FORM.replace("epochs=2", "epochs=6").replace("trained=48", "trained=480") + "&seed=7"
    job = services.hardenings.submit(services.select(search))
    runs.ids.append(job.id)
    try:
        assert services.hardenings.submit(services.select(search)).id == job.id
        deadline(lambda: (services.hardenings.curves(services.jobs.job(job.id)) or {"epochs": 0})["epochs"] >= 1)
        services.jobs.cancel(job.id)
        deadline(lambda: services.jobs.job(job.id).has_ended, 10)
        cancelled = services.jobs.job(job.id)
        assert cancelled.state == "cancelled"
        assert services.hardenings.kept_epochs(cancelled) >= 1
        assert services.hardenings.keep(cancelled) in services.choices.model_names()
        services.jobs.run_again(job.id)
        deadline(lambda: services.jobs.job(job.id).has_ended, 120)
        done = services.jobs.job(job.id)
        assert done.state == "done", services.jobs.log(job.id)
        report = services.hardenings.outcome(job.id, PARENT)
        assert services.phases.reason(report["model"]) == ""
        services.hardenings.remove(report["model"])
        services.hardenings.submit(services.select(search))  # it is done, and its model is there again
        assert services.choices.get(report["model"]).classifier.card["sha256"] == report["card"]["sha256"]
        _, whole, _ = runs.run(hardening, dict(job.settings))
        expected = json.loads((whole / REPORT).read_text())
        assert report["card"]["sha256"] == expected["card"]["sha256"]
        times = {"seconds": None}
        assert {**report["curves"], **times} == {**expected["curves"], **times}
    finally:
        services.jobs.cancel(job.id)
        deadline(lambda: services.jobs.job(job.id).has_ended)
        services.jobs.remove(job.id)


def test_a_large_model_is_timed_on_few_images_and_that_is_scaled():
    tried = TrainingSettings("adam", 0.001, 0.0, 8, 2, held_out=0)
    asked = replace(tried, batch_size=100, held_out=50)
    # 125 batches of 8 images, a tenth of a second each, and half a second between two epochs.
    found = Estimate(epoch=13.0, preparation=2.0, total=28.0, batch=0.1, batches=125, epochs=2)
    whole = scaled(found, tried, asked, 1000, attacks=True)
    assert (whole.batches, whole.epochs) == (10, 2)
    assert whole.batch == pytest.approx(1.25)
    assert whole.epoch == pytest.approx(12.5 + 50 / 80 + 0.5)
    assert whole.total == pytest.approx(2 + 2 * whole.epoch)
    plain = scaled(found, tried, asked, 1000, attacks=False)
    assert plain.epoch == pytest.approx(12.5 + 10 * 50 / 80 + 0.5)
