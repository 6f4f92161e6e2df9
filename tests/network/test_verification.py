"""What tracing cannot follow is refused; what has changed since is noticed."""

import pytest
import torch
from torch import nn

from engine import EffectivePath
from engine.errors import UnsupportedOperationError
from engine.network.trace import trace

SHAPE = (3, 6, 6)


class NormAndActivation(nn.BatchNorm2d):
    """A batch norm that does more than normalise, as timm's does."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class ReadAgain(nn.Module):
    """Overwrites a map in place that is read once more."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x)
        y = torch.relu_(x)
        return self.fc((x + y).mean((2, 3)))


class FirstRowOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(108, 2)

    def forward(self, x):
        return self.fc(x.flatten(1)[:1])


class Flipped(FirstRowOnly):
    def forward(self, x):
        return torch.flip(self.fc(x.flatten(1)), [0])


def small(norm):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    nn.init.uniform_(net[1].running_mean, -0.5, 0.5)
    return net.eval()


def logits_of(model, images):
    extractor = EffectivePath(model)
    return extractor.record(images)[extractor.network(SHAPE).output.node]


def test_a_batch_norm_that_does_more_is_not_folded():
    model, images = small(NormAndActivation), torch.rand(2, *SHAPE)
    assert torch.allclose(torch.from_numpy(logits_of(model, images)), model(images), atol=1e-5)


@pytest.mark.parametrize("model", [ReadAgain(), FirstRowOnly(), Flipped()], ids=lambda m: type(m).__name__)
def test_a_traced_copy_that_answers_differently_is_refused(model):
    with pytest.raises(UnsupportedOperationError, match=r"differently|mixes the images"):
        trace(model, SHAPE)


def test_a_hook_that_changes_the_answer_is_refused():
    model = small(nn.BatchNorm2d)
    model[0].register_forward_hook(lambda module, given, output: output + 1)
    with pytest.raises(UnsupportedOperationError, match="hooks"):
        trace(model, SHAPE)


@pytest.mark.parametrize("change", ["fused optimiser", "data", "eps", "module", "in place"])
def test_a_changed_model_is_traced_again(change):
    model, images = small(nn.BatchNorm2d), torch.rand(2, *SHAPE)
    extractor = EffectivePath(model)
    extractor.extract(images)
    if change == "fused optimiser":
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)
        model(images).sum().backward()
        optimiser.step()
    elif change == "data":
        model[0].weight.data.mul_(1.5)
    elif change == "eps":
        model[1].eps = 0.5
    elif change == "module":
        model[2] = nn.Tanh()
    else:
        with torch.no_grad():
            model[4].weight.mul_(-1)
    recorded = torch.from_numpy(extractor.record(images)[extractor.network(SHAPE).output.node])
    assert torch.allclose(recorded, model(images), atol=1e-4)


def test_a_model_made_in_inference_mode_has_paths():
    with torch.inference_mode():
        model = small(nn.BatchNorm2d)
    assert EffectivePath(model).extract(torch.rand(1, *SHAPE))[0].density() > 0


def test_two_kernels_of_one_module_are_two_layers():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Parameter(torch.rand(4, 3, 3, 3))
            self.second = nn.Parameter(torch.rand(2, 4, 4, 4))
            self.norm = nn.BatchNorm2d(4).eval()

        def forward(self, x):
            x = torch.relu(self.norm(nn.functional.conv2d(x, self.first)))
            return nn.functional.conv2d(x, self.second).flatten(1)

    network = trace(Functional().eval(), SHAPE)
    assert network.layers == ("first", "second")
    assert len(network.runner.folded) == 1
