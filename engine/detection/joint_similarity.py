"""The joint-similarity detector: a linear model whose weights cannot be negative (Qiu et al. 2019, section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = npt.NDArray[np.float64]


class JointSimilarity(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """J̃ = Σ ωˡ·Jˡ(rank 1) − Σ ωˡ'·Jˡ(rank 2) with all ω ≥ 0; an image is adversarial below a threshold.

    The weights and the threshold minimise the logistic loss with an elastic net. With ω ≥ 0 the L1 norm is a plain sum,
    so the whole is smooth inside its bounds and a bounded quasi-Newton method finds the one optimum that the paper's
    10,000 epochs of stochastic gradient descent approach.

    Columns of X are as :class:`engine.detection.features.PathFeatures` has them: the first half of rank 1, the second
    half of rank 2. y is 1 for adversarial images.

    Attributes:
        coef_: (2L,) the ω.
        threshold_: the value of J̃ at which both classes are equally likely.
        classes_: (2,) labels, 0 and 1.
    """

    def __init__(self, alpha: float = 1e-4, l1_ratio: float = 0.5, max_iter: int = 2000) -> None:
        """Takes the strength of the elastic net, the share of L1 in it, and the most iterations."""
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> JointSimilarity:
        """Fits; both classes weigh the same in all unless ``sample_weight`` (N,) is given.

        Raises:
            ValueError: if X has an odd number of columns, or y not two classes.
        """
        values, labels = validate_data(self, X, y)
        self.classes_ = np.unique(labels)
        if len(self.classes_) != 2 or values.shape[1] % 2:
            raise ValueError(
                "expected two classes, and as many columns of rank 1 as of rank 2; "
                f"got {len(self.classes_)} and {values.shape[1]} columns."
            )
        weights = compute_sample_weight("balanced", labels) if sample_weight is None else np.asarray(sample_weight)
        signed = values * _signs(values.shape[1])
        sign = np.where(labels == self.classes_[1], -1.0, 1.0)  # adversarial images want a low J̃
        start = np.zeros(values.shape[1] + 1)
        bounds = [(0.0, None)] * values.shape[1] + [(None, None)]
        found = minimize(
            self._objective,
            start,
            args=(signed, sign, weights / weights.sum()),
            jac=True,
            bounds=bounds,
            method="L-BFGS-B",
            options={"maxiter": self.max_iter, "ftol": 1e-12, "gtol": 1e-9},
        )
        self.coef_, self.threshold_ = found.x[:-1], -float(found.x[-1])
        self.n_iter_ = int(found.nit)
        return self

    def _objective(self, point: Floats, signed: Floats, sign: Floats, weights: Floats) -> tuple[float, Floats]:
        omega, bias = point[:-1], point[-1]
        margin = sign * (signed @ omega + bias)
        loss = weights @ np.logaddexp(0.0, -margin)
        loss += self.alpha * (self.l1_ratio * omega.sum() + 0.5 * (1 - self.l1_ratio) * omega @ omega)
        pull = -weights * sign * expit(-margin)
        gradient = signed.T @ pull + self.alpha * (self.l1_ratio + (1 - self.l1_ratio) * omega)
        return float(loss), np.append(gradient, pull.sum())

    def joint_similarity(self, X: Any) -> Floats:
        """J̃ of each row, (N,)."""
        return np.asarray(self.contributions(X).sum(axis=1))

    def contributions(self, X: Any) -> Floats:
        """What each layer and rank adds to J̃, (N, 2L)."""
        check_is_fitted(self)
        values = validate_data(self, X, reset=False)
        return np.asarray(values * _signs(values.shape[1]) * self.coef_)

    def decision_function(self, X: Any) -> Floats:
        """How far below the threshold J̃ is, (N,); above 0 is adversarial."""
        return np.asarray(self.threshold_ - self.joint_similarity(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each row, (N,)."""
        return np.asarray(self.classes_[(self.decision_function(X) > 0).astype(int)])

    def predict_proba(self, X: Any) -> Floats:
        """(N, 2) probabilities of the two classes."""
        adversarial = expit(self.decision_function(X))
        return np.stack([1 - adversarial, adversarial], axis=1)


def _signs(columns: int) -> Floats:
    """+1 for rank 1, −1 for rank 2."""
    return np.repeat([1.0, -1.0], columns // 2)
