"""Attacked images of a study: which, whence, and found again the next time."""

import numpy as np
import pytest
import torch

from engine.attacks.catalogue import attacks
from engine.attacks.pairs import correctly_classified
from engine.attacks.results import attack_once, load_result, save_result
from engine.detection.outcome import authors_plans
from engine.detection.study import Plan, run_study, study_features
from engine.errors import InvalidInputError


def test_only_correctly_classified_images_take_part(classifier, digits, study):
    right = classifier.module(digits.test.images(range(len(digits.test)))).argmax(1).numpy() == digits.test.labels
    np.testing.assert_array_equal(study.indices, np.flatnonzero(right)[:120])
    assert all(result.scored.all() for result in study.results.values())
    images, sources = study.successes("PGD")
    assert len(images) == len(sources) == study.results["PGD"].success.sum()
    assert (classifier.module(images).argmax(1).numpy() != digits.test.labels[sources]).all()


def test_nan_is_never_correct(digits):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    with torch.no_grad():
        model[1].weight.fill_(float("nan"))
    assert not len(correctly_classified(model, digits.test, 10))
    with pytest.raises(InvalidInputError, match="none right"):
        run_study(model, digits.test, [Plan("FGSM", "fgsm")])


def test_results_come_back_from_disk(study, tmp_path):
    result = study.results["PGD"]
    save_result(tmp_path / "result.npz", result)
    loaded = load_result(tmp_path / "result.npz")
    np.testing.assert_array_equal(loaded.adversarial, result.adversarial)
    assert (loaded.settings, loaded.seed, loaded.attack) == (result.settings, result.seed, result.attack)
    (tmp_path / "result.npz").write_bytes(b"garbage")
    with pytest.raises(InvalidInputError, match="result of an attack"):
        load_result(tmp_path / "result.npz")


def test_an_attack_is_run_once_for_the_same_images_model_and_settings(classifier, study, tmp_path, monkeypatch):
    runs = []
    method = attacks["fgsm"].create(epsilon=0.1)
    original = type(method).prepare
    monkeypatch.setattr(type(method), "prepare", lambda self, *rest: runs.append(1) or original(self, *rest))

    def run(method=method, images=study.images[:8], seed=0):
        return attack_once(method, classifier.module, images, study.labels[:8], folder=tmp_path, seed=seed)

    first = run()
    np.testing.assert_array_equal(run().adversarial, first.adversarial)
    assert len(runs) == 1
    run(seed=1)
    run(method=attacks["fgsm"].create(epsilon=0.2))
    run(images=study.images[:8].flip(0))
    assert len(runs) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:50])
    run()
    assert len(runs) == 5


@pytest.mark.parametrize("plans", [(), (Plan("a", "fgsm"), Plan("a", "bim"))])
def test_plans_need_names_of_their_own(classifier, digits, plans):
    with pytest.raises(InvalidInputError, match="plans"):
        run_study(classifier.module, digits.test, plans)


def test_features_of_a_study_belong_to_its_successes(classifier, study, class_paths):
    features = study_features(classifier.module, study, class_paths)
    assert features.normal.values.shape == (120, 10)
    for name in study.results:
        assert len(features.attacked[name].values) == study.results[name].success.sum()
    assert features.normal.values[:, :5].mean() > features.attacked["PGD"].values[:, :5].mean()


def test_the_authors_plans_are_attacks_of_the_catalogue():
    plans = authors_plans()
    assert len({plan.name for plan in plans}) == len(plans) >= 6
    for plan in plans:
        attacks[plan.attack].create(**plan.settings)
