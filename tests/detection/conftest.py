"""The shipped digits classifier with its class paths, and a small study of it."""

import pytest

from engine.datasets.catalogue import load_dataset
from engine.detection.study import Plan, run_study
from engine.network.classifiers import load_classifier
from engine.paths.class_paths import compute_class_paths


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="session")
def classifier():
    return load_classifier("lenet5-digits")


@pytest.fixture(scope="session")
def class_paths(classifier, digits):
    return compute_class_paths(classifier.module, digits.train, classifier.classes)


@pytest.fixture(scope="session")
def study(classifier, digits):
    plans = (Plan("FGSM", "fgsm", {"epsilon": 0.2}), Plan("PGD", "pgd_linf", {"epsilon": 0.15, "steps": 10}))
    return run_study(classifier.module, digits.test, plans, n_images=120)
