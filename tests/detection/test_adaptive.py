"""The attack that knows the detector evades it more often than one that does not."""

import numpy as np
import pytest
import torch

from engine.detection.adaptive import AdaptiveAttack, _distance, _outputs, guides_from
from engine.detection.catalogue import detectors
from engine.detection.features import path_features
from engine.detection.protocol import Samples, evaluate, scores_of
from engine.detection.study import study_features
from engine.errors import Cancelled, InvalidInputError
from engine.network.trace import trace


@pytest.fixture(scope="module")
def guides(classifier, digits):
    return guides_from(classifier.module, digits.train, 10)


def test_guides_are_of_their_class(classifier, digits, guides):
    assert classifier.module(guides).argmax(1).tolist() == list(range(10))
    never_nine = torch.nn.Sequential(classifier.module, Without(9))
    labelled = int((digits.train.labels == 9).argmax())
    assert torch.equal(guides_from(never_nine, digits.train, 10)[9], digits.train.images([labelled])[0])
    with pytest.raises(InvalidInputError, match="class 10"):
        guides_from(classifier.module, digits.train, 11)


class Without(torch.nn.Module):
    """Takes a class out of the running."""

    def __init__(self, label):
        super().__init__()
        self.label = label

    def forward(self, logits):
        return torch.cat([logits[:, : self.label], logits[:, self.label :] - 1e6], dim=1)


def test_the_distance_is_that_of_the_layers_outputs(classifier, guides):
    network = trace(classifier.module, (1, 28, 28))
    _, mine = _outputs(network, guides[:2])
    _, theirs = _outputs(network, guides[2:4])
    hooked = []
    handles = [
        getattr(classifier.module, name).register_forward_hook(lambda module, given, out: hooked.append(out.detach()))
        for name in ("conv1", "conv2", "fc1", "fc2", "fc3")
    ]
    with torch.no_grad():
        classifier.module(guides[:2])
        classifier.module(guides[2:4])
    for handle in handles:
        handle.remove()
    expected = [
        sum(
            float(((a[n] - b[n]) ** 2).sum() / (b[n] ** 2).sum())
            for a, b in zip(hooked[:5], hooked[5:], strict=True)
        )
        for n in range(2)
    ]  # fmt: skip
    np.testing.assert_allclose(_distance(mine, theirs).numpy(), expected, rtol=1e-4)


def test_it_misleads_within_its_ball_and_is_found_less_often(classifier, study, class_paths, guides):
    features = study_features(classifier.module, study, class_paths)
    fitted = evaluate(detectors["joint_similarity"].create(), features.normal, features.attacked, train_share=0.5)
    threshold = np.quantile(fitted.normal_scores, 0.95)

    def found(pull):
        attack = AdaptiveAttack(epsilon=0.3, steps=60, pull=pull, guides=guides)
        result = attack(classifier.module, study.images[:60], study.labels[:60])
        assert (result.linf <= 0.3 + 1e-6).all()
        assert result.success.mean() > 0.7
        images = torch.from_numpy(result.adversarial[result.success])
        values = path_features(classifier.module, images, class_paths).values
        return (scores_of(fitted.detector, Samples(values, np.arange(len(values))).values) > threshold).mean()

    assert found(20.0) < found(0.0)


def test_targets_are_reached_and_without_guides_it_is_refused(classifier, study, guides):
    targets = (study.labels[:10] + 1) % 10
    attack = AdaptiveAttack(epsilon=0.5, steps=40, pull=1.0, guides=guides)
    result = attack(classifier.module, study.images[:10], study.labels[:10], targets=targets)
    assert (result.predictions_after[result.success] == targets[result.success]).all()
    assert result.success.any()
    with pytest.raises(InvalidInputError, match="guides"):
        AdaptiveAttack()(classifier.module, study.images[:1], study.labels[:1])


def test_it_leaves_the_model_alone_and_can_be_stopped(classifier, study, guides):
    before = {name: value.clone() for name, value in classifier.module.state_dict().items()}

    def stop(fraction, message):
        if fraction > 0:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        AdaptiveAttack(guides=guides)(classifier.module, study.images[:2], study.labels[:2], progress=stop)
    assert all(torch.equal(before[name], value) for name, value in classifier.module.state_dict().items())
    assert all(parameter.grad is None for parameter in classifier.module.parameters())
