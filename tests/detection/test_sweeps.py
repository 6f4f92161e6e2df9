"""Every sweep varies what it says, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from engine.detection.catalogue import detectors
from engine.detection.protocol import evaluate, split_sources
from engine.detection.study import study_features
from engine.detection.sweeps import (
    features_of,
    run_sweep,
    seen_order,
    sweep_attacks_seen,
    sweep_last_layers,
    sweep_parts,
    sweep_theta,
    sweep_training_size,
)
from engine.errors import InvalidInputError
from engine.paths.class_paths import compute_class_paths

make = detectors["joint_similarity"].create


@pytest.fixture(scope="module")
def features(classifier, study, class_paths):
    return study_features(classifier.module, study, class_paths)


def test_training_size(features):
    points = sweep_training_size(make, features, [20, 60])
    assert [(point.value, point.attack) for point in points] == [
        (20, "FGSM"), (20, "PGD"), (60, "FGSM"), (60, "PGD"),
    ]  # fmt: skip
    whole = evaluate(make(), features.normal, features.attacked, train_share=0.5)
    assert points[3].auc == whole.separations["PGD"].auc
    with pytest.raises(InvalidInputError, match="training size"):
        sweep_training_size(make, features, [120])


def test_attacks_seen(features):
    points = sweep_attacks_seen(make, features, ["PGD", "FGSM"], train_share=0.3)
    assert [(p.value, p.attack, p.is_seen) for p in points] == [
        (1, "FGSM", False), (1, "PGD", True), (2, "FGSM", True), (2, "PGD", True),
    ]  # fmt: skip


def test_the_papers_order_comes_first():
    names = {"mine": "spsa", "C&W": "carlini_wagner", "DeepFool": "deepfool", "FGSM": "fgsm"}
    assert seen_order(names) == ["DeepFool", "FGSM", "C&W", "mine"]


def test_the_last_layers_are_those_of_a_partial_extraction(classifier, study, class_paths, features):
    points = sweep_last_layers(make, features, train_share=0.3)
    assert sorted({point.value for point in points}) == [1, 2, 3, 4, 5]
    partial = study_features(classifier.module, study, class_paths, last_layers=2)
    np.testing.assert_array_equal(partial.normal.values, features.normal.values[:, [3, 4, 8, 9]])
    expected = evaluate(make(), partial.normal, partial.attacked, train_share=0.3).separations["PGD"].auc
    assert next(p.auc for p in points if (p.value, p.attack) == (2, "PGD")) == expected


def test_parts_and_theta(classifier, digits, study, class_paths):
    asked, seen = [], []

    def at(theta, progress):
        asked.append(theta)
        return compute_class_paths(classifier.module, digits.train, classifier.classes, theta=theta, progress=progress)

    features_at = features_of(classifier.module, study, at)
    swept = sweep_theta(make, features_at, (0.3, 0.5), train_share=0.3, progress=lambda f, m: seen.append(f))
    points = sweep_parts(make, features_at, train_share=0.3)
    assert {point.value for point in points} == {"synapses", "weights"}
    assert asked == [0.3, 0.5, 0.5]  # what is there is not extracted again
    assert [point for point in swept if point.value == 0.5][1].auc == points[1].auc
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


def test_a_sweep_is_of_the_studys_own_part_and_layers(classifier, study, class_paths):
    features_at = features_of(classifier.module, study, lambda theta, _: class_paths, last_layers=2)
    weights = study_features(classifier.module, study, class_paths, part="weights", last_layers=2)
    expected = evaluate(make(), weights.normal, weights.attacked, train_share=0.3).separations["PGD"].auc
    swept = run_sweep("parts", make, study, features_at, train_share=0.3)
    assert next(p.auc for p in swept if (p.value, p.attack) == ("weights", "PGD")) == expected
    layers = run_sweep("last-layers", make, study, features_at, part="weights", train_share=0.3)
    assert {point.value for point in layers} == {1, 2}
    assert next(p.auc for p in layers if (p.value, p.attack) == (2, "PGD")) == expected


def test_a_value_with_nothing_to_fit_on_is_left_out(features):
    sources = features.normal.sources
    train, _ = split_sources(sources, 20 / len(sources), 0)
    rare = {"PGD": features.attacked["PGD"].of(np.setdiff1d(sources, train))}  # none among the first twenty
    points = sweep_training_size(make, replace(features, attacked=rare), [20, 60])
    assert {point.value for point in points} == {60}
