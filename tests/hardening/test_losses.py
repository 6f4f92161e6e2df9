"""Every loss term against values worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from engine.datasets.dataset import ArrayImages
from engine.hardening.methods.alp import ALP
from engine.hardening.methods.pat import PAT
from engine.hardening.methods.route_gradient import RouteGradient
from engine.hardening.methods.route_weight import RouteWeight
from engine.hardening.methods.sns import SNS
from engine.hardening.methods.vanilla import Vanilla
from engine.progress import silent
from tests.hardening.nets import job_of

# Two images of one row of two pixels, and their attacked copies.
CLEAN = torch.tensor([[0.5, 1.0], [0.0, 0.5]])[:, None, None, :]
ATTACKED = torch.tensor([[0.25, 1.0], [0.5, 0.0]])[:, None, None, :]
LABELS = torch.tensor([0, 1])


def net():
    """Units x and −2x behind ReLU, which leaves (x, 0); logits (2·x₀ + x₁, 4·x₁ − 1)."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -2.0])[:, None, None, None])
        model[3].weight.copy_(torch.tensor([[2.0, 1, 3, 5], [0, 4, -1, 2]]))
        model[3].bias.copy_(torch.tensor([0.0, -1.0]))
    return model


#: By hand: images (2, 3) and (0.5, 1); copies (1.5, 3) and (1, −1).
CLEAN_LOGITS, ATTACKED_LOGITS = ((2.0, 3.0), (0.5, 1.0)), ((1.5, 3.0), (1.0, -1.0))


def cross_entropy(rows):
    losses = [math.log(math.exp(a) + math.exp(b)) - (a, b)[label] for (a, b), label in zip(rows, (0, 1), strict=True)]
    return sum(losses) / 2


def images():
    return ArrayImages(np.zeros((4, 1, 1, 2), np.uint8), np.zeros(4, np.int64))


def losses_of(method, units=None, model=None):
    objective = method.objective(job_of(model or net(), images()))
    objective.attacked = lambda *_: ATTACKED
    if units is not None:
        objective.units = {name: np.array(ids, np.int64) for name, ids in units.items()}
        if hasattr(objective, "use"):
            objective.use()
    objective.job.model.train()
    return objective.losses(CLEAN, LABELS, "batch", silent)


def values(losses):
    return {name: term.item() for name, term in losses.terms.items()}


def test_vanilla_is_the_mean_cross_entropy():
    losses = losses_of(Vanilla())
    assert values(losses) == pytest.approx({"clean": cross_entropy(CLEAN_LOGITS)}, rel=1e-6)
    assert losses.total.item() == losses.terms["clean"].item()
    assert torch.allclose(losses.logits, torch.tensor(CLEAN_LOGITS))


def test_pat_is_the_mean_of_both_halves():
    losses = losses_of(PAT())
    clean, attacked = cross_entropy(CLEAN_LOGITS), cross_entropy(ATTACKED_LOGITS)
    assert values(losses) == pytest.approx({"clean": clean, "adversarial": attacked}, rel=1e-6)
    assert losses.total.item() == pytest.approx((clean + attacked) / 2, rel=1e-6)
    assert torch.allclose(losses.logits, torch.tensor(CLEAN_LOGITS))


def test_alp_adds_half_the_squared_distance_of_the_logits():
    losses = losses_of(ALP())
    # (0.5² + 0²) and (0.5² + 2²), mean over the two images
    assert values(losses)["pairing"] == pytest.approx((0.25 + 4.25) / 2, rel=1e-6)
    expected = (cross_entropy(CLEAN_LOGITS) + cross_entropy(ATTACKED_LOGITS)) / 2 + 0.5 * 2.25
    assert losses.total.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        # Unit 0 is x: means of |x − x'| are 0.125 and 0.5. Unit 1 is −2x, before the activation: twice that.
        ([0], (0.125 + 0.5) / 2),
        ([1], (0.25 + 1.0) / 2),
        ([0, 1], (0.375 + 1.5) / 2),
    ],
)
@pytest.mark.parametrize("loss", ["adversarial", "plain"])
def test_sns_adds_the_change_of_its_units(units, expected, loss):
    losses = losses_of(SNS(first_layer=1, loss=loss), {"0": units})
    assert values(losses)["stability"] == pytest.approx(expected, rel=1e-6)
    clean, attacked = cross_entropy(CLEAN_LOGITS), cross_entropy(ATTACKED_LOGITS)
    base = clean if loss == "plain" else (clean + attacked) / 2
    assert losses.total.item() == pytest.approx(base + 5 * expected, rel=1e-6)


def gradient_sums(rows, units):
    """Σ|∂CE/∂Z| of each image over the elements of units: Σ_k (p_k − y_k)·W_k for each element."""
    weight = ((2, 1, 3, 5), (0, 4, -1, 2))
    sums = []
    for (a, b), label in zip(rows, (0, 1), strict=True):
        p = math.exp(a) / (math.exp(a) + math.exp(b))
        error = (p - (label == 0), (1 - p) - (label == 1))
        elements = [element for unit in units for element in (2 * unit, 2 * unit + 1)]
        sums.append(sum(abs(error[0] * weight[0][e] + error[1] * weight[1][e]) for e in elements))
    return sums


@pytest.mark.parametrize("units", [[0], [1], [0, 1]])
def test_route_gradients_are_those_of_each_image_s_own_loss(units):
    vanilla = losses_of(RouteGradient(on="vanilla", gradients=0.1), {"0:act": units})
    clean = sum(gradient_sums(CLEAN_LOGITS, units)) / 2
    assert values(vanilla) == pytest.approx({"clean": cross_entropy(CLEAN_LOGITS), "gradients": clean}, rel=1e-5)
    assert vanilla.total.item() == pytest.approx(cross_entropy(CLEAN_LOGITS) + 0.1 * clean, rel=1e-5)
    pat = losses_of(RouteGradient(on="pat"), {"0:act": units})
    both = clean + sum(gradient_sums(ATTACKED_LOGITS, units)) / 2
    assert values(pat)["gradients"] == pytest.approx(both, rel=1e-5)
    assert set(pat.terms) == {"clean", "adversarial", "gradients"}


def test_the_gradient_penalty_is_derived_through_the_first_backward_pass():
    model = net().double()

    def penalty():
        objective = RouteGradient(on="vanilla").objective(job_of(model, images()))
        objective.units = {"0:act": np.array([0])}
        objective.use()
        with objective._taps.recording() as outputs:
            logits = model(CLEAN.double())
        return objective._gradients(outputs, logits, LABELS)

    weight = model[3].weight
    (derived,) = torch.autograd.grad(penalty(), weight)
    step = 1e-3  # the penalty is summed in single precision
    for place in [(0, 0), (0, 1), (1, 1)]:
        above, below = (penalty_at(penalty, weight, place, change) for change in (step, -step))
        assert derived[place].item() == pytest.approx((above - below) / (2 * step), rel=1e-3)


def penalty_at(penalty, weight, place, change):
    with torch.no_grad():
        weight[place] += change
    value = penalty().item()
    with torch.no_grad():
        weight[place] -= change
    return value


def two_convolutions():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)
    )  # fmt: skip
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])[..., None, None])
    return model


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ({"0:act": [0, 2], "2:act": [1]}, 4 + 6),
        ({"0:act": [1], "2:act": [0, 1]}, 2 + 5),
        ({"0:act": [0, 1, 2], "2:act": [0]}, 1 + 2 + 3),
        ({"2:act": [0, 1]}, 0),
    ],
)
def test_route_weights_are_those_between_units_of_the_route(units, expected):
    model = two_convolutions()
    losses = losses_of(RouteWeight(on="vanilla", weights=0.25), units, model)
    assert values(losses)["weights"] == expected
    assert losses.total.item() == pytest.approx(values(losses)["clean"] + 0.25 * expected)
    if expected:
        losses.terms["weights"].backward()
        moved = model[2].weight.grad[..., 0, 0]
        assert (moved.abs() * model[2].weight[..., 0, 0].abs()).sum() == expected  # the sign of each such weight
    assert set(losses_of(RouteWeight(on="pat"), units, two_convolutions()).terms) == {
        "clean", "adversarial", "weights",
    }  # fmt: skip


def test_attacked_copies_are_made_on_the_model_in_eval_mode_and_leave_its_gradients_alone():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    objective = PAT(epsilon=0.1).objective(job_of(model, images()))
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = []
    model[1].register_forward_hook(lambda module, *_: modes.append(module.training))
    made = objective.attacked(CLEAN, LABELS, "batch", silent)
    assert modes == [False] * 10
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not made.requires_grad
    assert 0 < float((made - CLEAN).abs().max()) <= 0.1 + 1e-6
    assert 0 <= made.min() <= made.max() <= 1
