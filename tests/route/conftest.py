"""The shipped digits classifier, its data, attacked test images, and a route made from attacked training images."""

import pytest

from engine.attacks.catalogue import attacks
from engine.attacks.pairs import attack_pairs
from engine.datasets.catalogue import load_dataset
from engine.network.classifiers import load_classifier
from engine.route.routes import model_route


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="session")
def classifier():
    return load_classifier("lenet5-digits")


@pytest.fixture(scope="session")
def model(classifier):
    return classifier.module


@pytest.fixture(scope="session")
def pairs(model, digits):
    return attack_pairs(model, digits.test, attacks["fgsm"].create(epsilon=0.2), n_images=60)


@pytest.fixture(scope="session")
def route(model, digits):
    attacked = attack_pairs(model, digits.train, attacks["fgsm"].create(epsilon=0.2), n_images=80)
    return model_route(model, attacked.adversarial, attacked.labels)
