"""The same adversarial images as Foolbox 3.3.4, from the same start with the same steps."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks import attacks

foolbox = pytest.importorskip("foolbox")


@pytest.fixture(scope="module")
def smooth_net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(8)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 10)
        )
    with torch.no_grad():
        net[-1].weight.mul_(4)
    return net.eval()


@pytest.fixture(scope="module")
def batch(smooth_net) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(21))
    images[:2] = images[:2].round()  # at the edges of the range
    with torch.no_grad():
        return images, smooth_net(images).argmax(dim=1)


CASES = [
    ("fgsm", "LinfFastGradientAttack", 0.05, {}),
    ("fgsm", "LinfFastGradientAttack", 0.4, {}),
    ("bim", "LinfBasicIterativeAttack", 0.03, {"steps": 10, "relative_step": 0.1}),
    ("bim", "LinfBasicIterativeAttack", 0.2, {"steps": 7, "relative_step": 0.2}),
    ("pgd_linf", "LinfProjectedGradientDescentAttack", 0.03, {"steps": 20, "relative_step": 0.033}),
    ("pgd_linf", "LinfProjectedGradientDescentAttack", 0.1, {"steps": 10, "relative_step": 0.25}),
    ("pgd_l2", "L2ProjectedGradientDescentAttack", 0.5, {"steps": 20, "relative_step": 0.0625}),
    ("pgd_l2", "L2ProjectedGradientDescentAttack", 3.0, {"steps": 10, "relative_step": 0.3}),
]


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("name", "theirs", "epsilon", "settings"), CASES)
def test_same_images(smooth_net, batch, name, theirs, epsilon, settings, targeted):
    images, labels = batch
    targets = (labels + 3) % 10
    still = {"random_start": False} if name.startswith("pgd") else {}
    ours = attacks[name].create(epsilon=epsilon, **settings, **still)(
        smooth_net, images, labels, targets=targets if targeted else None
    )
    keywords = {"steps": settings["steps"], "rel_stepsize": settings["relative_step"]} if settings else {}
    criterion = (
        foolbox.criteria.TargetedMisclassification(targets) if targeted else foolbox.criteria.Misclassification(labels)
    )
    model = foolbox.PyTorchModel(smooth_net, bounds=(0, 1), device="cpu")
    if targeted and name == "fgsm":  # Foolbox's fast gradient attack is untargeted only; one step of BIM is the same
        theirs, keywords = "LinfBasicIterativeAttack", {"steps": 1, "rel_stepsize": 1.0}
    oracle = getattr(foolbox.attacks, theirs)(random_start=False, **keywords)
    expected = oracle.run(model, images, criterion, epsilon=epsilon)
    np.testing.assert_allclose(ours.adversarial, expected.numpy(), atol=1e-6, rtol=0)
    assert ours.success.any() or targeted
    _, _, succeeded = oracle(model, images, criterion, epsilons=epsilon)
    np.testing.assert_array_equal(ours.success, succeeded.numpy())
