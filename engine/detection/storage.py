"""Fitted detectors on disk, as plain data: nothing that is loaded can run code.

A folder holds ``detector.json`` (what it was made from, and for joint similarity the coefficients) and, for the tree
detectors, ``detector.skops`` (their arrays in a format that names every type; only those of a tree are accepted).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from skops import io as skops

from engine.detection.catalogue import detectors
from engine.detection.joint_similarity import JointSimilarity
from engine.errors import InvalidInputError
from engine.files import write_atomically
from engine.paths.path import Part
from engine.version import VERSION

# Of what skops does not accept by itself, a forest needs this alone.
TRUSTED = ("sklearn.tree._tree.Tree",)
_JSON, _TREES = "detector.json", "detector.skops"


@dataclass(frozen=True, slots=True)
class DetectorCard:
    """What a fitted detector was made from; it is used with nothing else.

    Attributes:
        detector: name in the catalogue.
        model_key: of the classifier.
        dataset_key: of the data set.
        theta, part, last_layers: of the path features.
        columns: names of the features.
        attacks: by name in the study, the attack and its settings that it was fitted on.
        threshold: score above which an image is called adversarial.
        aucs: by attack, area under the ROC curve on images it was not fitted on.
        train_images: places in the test split of the images it was fitted on; they cannot judge it.
        usual: (F,) median of each feature over normal images; what it explains a score against.
        adaptive: how it fares against an attack that knows it, the fields of
            :class:`engine.detection.adaptive_evaluation.AdaptiveOutcome`.
        version: of the engine.
    """

    detector: str
    model_key: str
    dataset_key: str
    theta: float
    part: Part
    last_layers: int | None
    columns: tuple[str, ...]
    attacks: Mapping[str, Mapping[str, Any]]
    threshold: float
    aucs: Mapping[str, float]
    train_images: tuple[int, ...]
    usual: tuple[float, ...]
    adaptive: Mapping[str, float]
    version: str = VERSION


def save_detector(folder: Path, detector: ClassifierMixin, card: DetectorCard) -> None:
    """Writes a fitted detector and its card into ``folder``, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"card": asdict(card)}
    if isinstance(detector, JointSimilarity):
        content["joint_similarity"] = {
            "settings": detector.get_params(),
            "coef": detector.coef_.tolist(),
            "threshold": detector.threshold_,
        }
    else:
        data = skops.dumps(detector)
        content["sha256"] = hashlib.sha256(data).hexdigest()
        write_atomically(folder / _TREES, lambda partial: partial.write_bytes(data))
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_atomically(folder / _JSON, lambda partial: partial.write_text(text, encoding="utf-8"))


def load_detector(folder: Path, *, model_key: str, dataset_key: str) -> tuple[ClassifierMixin, DetectorCard]:
    """Reads what :func:`save_detector` wrote.

    Raises:
        InvalidInputError: if a file is absent or damaged, holds other types than a detector's, or was made for another
            model, data set or version.
    """
    try:
        content = json.loads((folder / _JSON).read_text(encoding="utf-8"))
        given = content["card"]
        card = DetectorCard(**given | {name: tuple(given[name]) for name in ("columns", "train_images", "usual")})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{folder}: expected a saved detector; {error}.") from error
    given = (card.version, card.model_key, card.dataset_key)
    for what, there, here in zip(
        ("version", "model", "data set"), given, (VERSION, model_key, dataset_key), strict=True
    ):
        if there != here:
            raise InvalidInputError(
                f"{folder}: the detector was fitted for another {what} ({there[:16]}, here {here[:16]}); fit it again."
            )
    if card.detector not in detectors:
        raise InvalidInputError(f"{folder}: expected a detector among {', '.join(detectors.names())}.")
    if "joint_similarity" in content:
        return _joint_similarity(folder, content["joint_similarity"], card), card
    return _trees(folder, content.get("sha256")), card


def _joint_similarity(folder: Path, stored: Any, card: DetectorCard) -> JointSimilarity:
    try:
        detector = JointSimilarity(**stored["settings"])
        detector.coef_ = np.array(stored["coef"], np.float64)
        detector.threshold_ = float(stored["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{folder}: the coefficients cannot be read; {error}.") from error
    if detector.coef_.shape != (len(card.columns),) or not (np.isfinite(detector.coef_) & (detector.coef_ >= 0)).all():
        raise InvalidInputError(f"{folder}: expected {len(card.columns)} finite coefficients of at least 0.")
    detector.classes_ = np.array([0, 1])
    detector.n_features_in_ = len(card.columns)
    return detector


def _trees(folder: Path, sha256: object) -> ClassifierMixin:
    file = folder / _TREES
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{folder}: expected a saved detector; {error}.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InvalidInputError(f"{file}: does not match its card; it was damaged or replaced. Fit the detector again.")
    unknown = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED))
    if unknown:
        raise InvalidInputError(f"{file}: expected the types of a detector; it holds {unknown[0]}. It was not loaded.")
    return skops.loads(data, trusted=list(TRUSTED))
