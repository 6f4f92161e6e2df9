"""The whole experiment on the digits: what is judged, how each detector fares, and what its report says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.detection.adaptive_evaluation import AdaptiveSettings, adaptive_images, outcome_of
from engine.detection.attention import AttentionSettings
from engine.detection.experiment import detect, run_sweeps
from engine.detection.explanation import explain
from engine.detection.features import path_features
from engine.detection.outcome import DetectionSettings, card_of
from engine.detection.protocol import scores_of
from engine.detection.report import write_report
from engine.detection.study import Plan
from engine.errors import InvalidInputError

PLANS = (Plan("FGSM", "fgsm", {"epsilon": 0.2}), Plan("PGD", "pgd_linf", {"epsilon": 0.15, "steps": 10}))


@pytest.fixture(scope="module")
def found(classifier, digits, class_paths):
    settings = DetectionSettings(
        PLANS, detectors=("joint_similarity", "random_forest"), cdrp=("random_forest",),
        attention=AttentionSettings(epochs=1, mask_epochs=1, min_steps=1, hidden=64),
        adaptive=AdaptiveSettings(0.3, 20, 12), n_images=120, train_share=0.5,
    )  # fmt: skip
    return detect(classifier, digits, class_paths, settings)


def test_every_method_is_judged_on_the_same_images_and_faces_the_adaptive_attack(found):
    methods = ["joint_similarity", "random_forest", "cdrp + random_forest", "latent attention"]
    assert list(found.evaluations) == list(found.adaptive) == methods
    judged = found.evaluations["joint_similarity"].test_sources
    for evaluation in found.evaluations.values():
        np.testing.assert_array_equal(evaluation.normal_sources, judged)
    for outcome in found.adaptive.values():
        assert 0 <= outcome.missed <= outcome.misled <= outcome.images == 12
        assert outcome.rate == outcome.missed / 12
    assert found.evaluations["joint_similarity"].separations["PGD"].auc > 0.9
    assert all(0 <= row["auc"] <= 1 for row in found.table())
    for row in found.contrast_table():
        assert row["normal"] <= 60
        assert row["images"] == "all" or row["true_negative"] == 1
    assert set(found.seconds) == {"path features", "cdrp"}
    assert found.images_looked_at == 120 + sum(r.success.sum() for r in found.study.results.values())


def test_the_adaptive_attack_takes_images_that_judge_and_counts_what_gets_past_both(
    found, classifier, digits, class_paths
):
    evaluation = found.evaluations["joint_similarity"]
    images = adaptive_images(
        classifier.module, digits, found.study, evaluation.test_sources, AdaptiveSettings(0.3, 20, 12)
    )
    values = path_features(classifier.module, images.images, class_paths).values
    scores = scores_of(evaluation.detector, values)
    outcome = outcome_of(evaluation, images, scores)
    assert outcome == found.adaptive["joint_similarity"]
    assert outcome.missed == (scores <= evaluation.threshold).sum()
    assert len(images.images) == outcome.misled


def test_a_cards_usual_values_are_medians_and_explain_its_scores(found, classifier, digits):
    for name in ("joint_similarity", "random_forest"):
        card, evaluation = card_of(name, found, classifier, digits), found.evaluations[name]
        np.testing.assert_array_equal(card.usual, np.median(found.features.normal.values, axis=0))
        assert card.adaptive["images"] == 12
        values = found.features.attacked["PGD"].values[0]
        told = explain(evaluation.detector, card.columns, values, card.usual, card.threshold)
        assert told.score == scores_of(evaluation.detector, values[np.newaxis])[0]
        assert told.is_flagged == (told.score > card.threshold)
        without = values.copy()
        without[3] = card.usual[3]
        expected = told.score - scores_of(evaluation.detector, without[np.newaxis])[0]
        assert told.contributions[3] == pytest.approx(expected)
        if name == "joint_similarity":
            assert told.contributions.sum() == pytest.approx(told.score - told.usual_score)
    with pytest.raises(InvalidInputError, match="as many features"):
        explain(evaluation.detector, card.columns, values[:-1], card.usual, card.threshold)


def test_the_report_is_plain_json_and_holds_the_sweeps(found, classifier, class_paths, tmp_path):
    kinds = ("training-size", "attacks-seen", "last-layers", "parts")
    sweeps = run_sweeps(found, classifier, kinds, lambda theta, _: class_paths)
    write_report(tmp_path / "study.json", found, classifier, sweeps)
    told = json.loads((tmp_path / "study.json").read_text())
    assert list(told["sweeps"]) == list(kinds)
    assert {point["attack"] for point in told["sweeps"]["parts"]["joint_similarity"]} == {"FGSM", "PGD"}
    for name, method in told["methods"].items():
        assert method["adaptive"]["images"] == 12
        assert method["threshold"] == pytest.approx(found.evaluations[name].threshold, abs=1e-5)
        above = np.mean(np.array(method["normal"]["scores"]) > method["threshold"])
        assert above <= 0.05 + 1e-9
    curve = told["methods"]["joint_similarity"]["curves"]["PGD"]
    assert (curve["fpr"][0], curve["tpr"][-1]) == (0, 1)
    assert len(told["methods"]["joint_similarity"]["coefficients"]["values"]) == 10
    assert told["methods"]["latent attention"]["coefficients"] is None
    assert told["images looked at"] == found.images_looked_at


def test_an_unknown_sweep_is_refused(found, classifier, class_paths):
    with pytest.raises(InvalidInputError, match="nonsense"):
        run_sweeps(found, classifier, ("nonsense",), lambda theta, _: class_paths)


def test_a_baseline_that_cannot_be_measured_says_so_before_any_attack(classifier, digits, class_paths):
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    attacked = []

    def progress(fraction, message):
        attacked.append(message)

    settings = DetectionSettings(PLANS, cdrp=("random_forest",))
    with pytest.raises(InvalidInputError, match="with convolutions"):
        detect(replace(classifier, module=linear), digits, class_paths, settings, progress=progress)
    settings, small = DetectionSettings(PLANS, attention=AttentionSettings()), replace(digits, image_shape=(1, 8, 8))
    with pytest.raises(InvalidInputError, match="12×12"):
        detect(classifier, small, class_paths, settings, progress=progress)
    assert attacked == []


def test_the_threshold_flags_at_most_five_percent_and_the_table_uses_it(found):
    for evaluation in found.evaluations.values():
        assert (evaluation.normal_scores > evaluation.threshold).mean() <= 0.05
        for attack, one in evaluation.separations.items():
            assert one.tpr == (evaluation.scores[attack] > evaluation.threshold).mean()
