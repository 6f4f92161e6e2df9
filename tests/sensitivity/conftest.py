"""The shipped digits classifier, and a small study of it."""

import pytest
import torch

from engine.datasets.catalogue import load_dataset
from engine.network.classifiers import load_classifier
from engine.sensitivity.study import SensitivitySettings, run_sensitivity


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="session")
def classifier():
    return load_classifier("lenet5-digits")


@pytest.fixture(scope="session")
def settings():
    return SensitivitySettings(
        attack="fgsm", attack_settings={"epsilon": 0.3}, n_images=30, betas=(1.0, 0.5), draws=2, strengths=(0.1, 0.3)
    )


@pytest.fixture(scope="session")
def study(classifier, digits, settings):
    return run_sensitivity(classifier, digits, settings, others=[load_classifier("lenet5-mnist")])


@pytest.fixture
def untouched():
    """Gives a function that remembers a model and, called again, says whether it is still what it was."""

    def remember(model):
        def state():
            return (
                [(name, module.training) for name, module in model.named_modules()],
                [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()],
                [parameter.grad is None for parameter in model.parameters()],
                [parameter.requires_grad for parameter in model.parameters()],
            )

        before, weights = state(), {name: value.clone() for name, value in model.state_dict().items()}

        def still():
            same = all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
            return same and state() == before

        return still

    return remember
