"""The kind of job that computes class paths, with the shipped LeNet-5 for the digits."""

import pytest

from dashboard.services.jobs.kinds import kinds
from dashboard.services.jobs.queue import JobQueue
from dashboard.settings import Settings
from engine.errors import InvalidInputError
from tests.dashboard.jobs.conftest import ended


@pytest.fixture
def queue(tmp_path):
    opened = JobQueue.embedded(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


@pytest.mark.slow
def test_class_paths_are_those_the_engine_computes(queue):
    from engine.datasets.catalogue import dataset_of
    from engine.network.classifiers import load_classifier
    from engine.paths.class_paths import ClassPaths, compute_class_paths

    job = queue.submit("class-paths", {"model": "lenet5-digits", "theta": "0.9"}, label="Class paths at θ = 0.9")
    assert queue.submit("class-paths", {"model": "lenet5-digits", "theta": 0.9}, label="the same").id == job.id
    done = ended(queue, job, 180)
    assert done.state == "done", queue.log(job.id)
    stored = ClassPaths.load(queue.result(done) / "class-paths.npz")
    classifier = load_classifier("lenet5-digits")
    expected = compute_class_paths(
        classifier.module, dataset_of(classifier, root=None).train, classifier.classes, theta=0.9
    )
    assert done.summary == {"images": expected.counts.sum(), "classes": 10, "weights": classifier.key}
    assert [path.density() for path in stored.paths] == [path.density() for path in expected.paths]
    assert all(one.jaccard(other) == 1 for one, other in zip(stored.paths, expected.paths, strict=True))
    changed = queue.submit("class-paths", {"model": "lenet5-digits", "weights": "other"}, label="changed")
    failed = ended(queue, changed, 180)
    assert failed.state == "failed"
    assert "has changed since" in failed.error


@pytest.mark.parametrize(
    "settings", [{}, {"model": 3}, {"model": "lenet5-digits", "theta": 2}, {"model": "lenet5-digits", "code": "x"}]
)
def test_wrong_settings_are_refused_before_anything_starts(queue, settings):
    with pytest.raises(InvalidInputError, match=r"model|theta|setting"):
        queue.submit("class-paths", settings, label="x")
    assert queue.jobs() == []


def test_every_kind_has_a_label_and_a_check():
    for entry in kinds:
        assert entry.label
        assert callable(entry.facts["check"])
