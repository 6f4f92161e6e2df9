"""The bounded linear detector: its optimum, its signs, and scikit-learn's rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from engine.detection.catalogue import detectors
from engine.detection.joint_similarity import JointSimilarity


def samples(seed=0, n=200, layers=3):
    """Similarities of n normal and n attacked images: rank 1 falls, rank 2 rises."""
    random = np.random.default_rng(seed)
    normal = np.hstack([random.beta(9, 1, (n, layers)), random.beta(4, 4, (n, layers))])
    attacked = np.hstack([random.beta(6, 3, (n, layers)), random.beta(6, 3, (n, layers))])
    return np.vstack([normal, attacked]), np.repeat([0, 1], n)


def slow_objective(model, values, labels):
    total = 0.0
    share = {label: (labels == label).sum() for label in (0, 1)}
    half = values.shape[1] // 2
    for row, label in zip(values, labels, strict=True):
        joint = sum(model.coef_[k] * row[k] * (1 if k < half else -1) for k in range(len(row)))
        margin = (joint - model.threshold_) * (1 if label == 0 else -1)
        total += np.log1p(np.exp(-margin)) / (2 * share[label])
    omega = model.coef_
    return total + model.alpha * (model.l1_ratio * omega.sum() + 0.5 * (1 - model.l1_ratio) * (omega**2).sum())


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([1e-4, 1e-2, 0.1]))
@settings(max_examples=20, deadline=None)
def test_no_step_from_the_optimum_is_better(seed, alpha):
    values, labels = samples(seed, n=30)
    model = JointSimilarity(alpha=alpha).fit(values, labels)
    assert (model.coef_ >= 0).all()
    best = slow_objective(model, values, labels)
    coef, threshold = model.coef_.copy(), model.threshold_
    for k in range(len(coef)):
        for step in (-1e-3, 1e-3):
            model.coef_ = coef.copy()
            model.coef_[k] = max(0.0, coef[k] + step)
            assert slow_objective(model, values, labels) >= best - 1e-8
    model.coef_ = coef
    for step in (-1e-3, 1e-3):
        model.threshold_ = threshold + step
        assert slow_objective(model, values, labels) >= best - 1e-8


def test_where_no_bound_binds_it_is_logistic_regression():
    values, labels = samples(n=400)
    ours = JointSimilarity(alpha=1e-2, l1_ratio=0.0).fit(values, labels)
    theirs = LogisticRegression(C=1 / (1e-2 * len(labels)), class_weight="balanced", tol=1e-10).fit(values, labels)
    assert (ours.coef_ > 0).all()
    np.testing.assert_allclose(ours.coef_ * [1, 1, 1, -1, -1, -1], -theirs.coef_[0], atol=1e-4)
    np.testing.assert_allclose(ours.threshold_, theirs.intercept_[0], atol=1e-4)


def test_contributions_add_up_to_the_score():
    values, labels = samples()
    model = JointSimilarity().fit(values, labels)
    np.testing.assert_allclose(model.contributions(values).sum(1), model.joint_similarity(values))
    np.testing.assert_array_equal(
        model.predict(values), (model.joint_similarity(values) < model.threshold_).astype(int)
    )
    np.testing.assert_allclose(model.predict_proba(values)[:, 1] > 0.5, model.decision_function(values) > 0)


def test_a_useless_feature_of_the_wrong_sign_gets_no_weight():
    values, labels = samples()
    values = np.hstack([values[:, :3], 1 - values[:, :1], values[:, 3:], 1 - values[:, 3:4]])
    model = JointSimilarity().fit(values, labels)
    assert model.coef_[3] == 0
    assert model.coef_[7] == 0


@pytest.mark.parametrize("entry", list(detectors), ids=detectors.names())
def test_every_detector_is_an_estimator_that_separates(entry):
    values, labels = samples()
    held_out, truth = samples(seed=1)
    detector = entry.create().fit(values, labels)
    assert entry.paper
    assert ((detector.predict_proba(held_out)[:, 1] > 0.5) == truth).mean() > 0.85
    again = entry.create().fit(values, labels)
    np.testing.assert_array_equal(again.predict_proba(held_out), detector.predict_proba(held_out))


@pytest.mark.parametrize("bad", ["one class", "odd columns", "nan"])
def test_what_cannot_be_fitted_is_refused(bad):
    values, labels = samples(n=10)
    if bad == "one class":
        labels = np.zeros_like(labels)
    elif bad == "odd columns":
        values = values[:, :5]
    else:
        values[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"two classes|columns|NaN"):
        JointSimilarity().fit(values, labels)
