"""The detectors a user can choose: scikit-learn estimators over path features (Qiu et al. 2019, section 4.2).

Classes are balanced by the sample weights that :mod:`engine.detection.protocol` gives to ``fit``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier

from engine.detection.joint_similarity import JointSimilarity
from engine.registry import Entry, Parameter, Registry

QIU = (
    "Qiu, Leng, Guo, Chen, Li, Guo, Zhu: Adversarial Defense Through Network Profiling Based Path Extraction. CVPR 2019"
)
ALPHA = Parameter(
    "alpha", "Elastic net", "float", 1e-4, low=0.0, high=10.0, help="Strength of the penalty on the weights."
)
L1_RATIO = Parameter("l1_ratio", "L1 share", "float", 0.5, low=0.0, high=1.0, help="Share of L1 in the elastic net.")
SEED = Parameter("seed", "Seed", "int", 0, low=0, high=2**31 - 1, help="Seed of the detector's random choices.")


def _trees(default: int) -> Parameter:
    return Parameter("trees", "Trees", "int", default, low=1, high=1000, help="Number of trees.")


def _joint_similarity(alpha: float, l1_ratio: float) -> JointSimilarity:
    return JointSimilarity(alpha=alpha, l1_ratio=l1_ratio)


def _random_forest(trees: int, seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=trees, random_state=seed)


def _ada_boost(trees: int, seed: int) -> AdaBoostClassifier:
    return AdaBoostClassifier(n_estimators=trees, random_state=seed)


def _gradient_boosting(trees: int, seed: int) -> GradientBoostingClassifier:
    return GradientBoostingClassifier(n_estimators=trees, random_state=seed)


detectors: Registry[ClassifierMixin] = Registry("detector")


def _add(name: str, label: str, factory: Callable[..., Any], *parameters: Parameter) -> None:
    detectors.add(Entry(name, label, factory, parameters, paper=QIU))


_add("joint_similarity", "Joint similarity", _joint_similarity, ALPHA, L1_RATIO)
_add("random_forest", "Random forest", _random_forest, _trees(100), SEED)
_add("ada_boost", "AdaBoost", _ada_boost, _trees(50), SEED)
_add("gradient_boosting", "Gradient boosting", _gradient_boosting, _trees(100), SEED)
