"""How detectors are fitted and judged (Qiu et al. 2019, section 4.2; definitions 3).

Normal test images and their successful adversarial images of every attack; an image and its attacked copies are never
on both sides of the split; a tenth is fitted on, the rest judged; both classes weigh the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.class_weight import compute_sample_weight

from engine.detection.metrics import Separation, separation, threshold_of
from engine.errors import InvalidInputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
TRAIN_SHARE = 0.1


class NothingToFitError(InvalidInputError):
    """Raised where no normal, or no successfully attacked image is there to fit on."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Images as a detector sees them.

    Attributes:
        values: (N, F) features.
        sources: (N,) index of the test image each was made from.
    """

    values: Floats
    sources: Integers

    def of(self, sources: npt.NDArray[np.int64]) -> Samples:
        """Those made from the given test images."""
        kept = np.isin(self.sources, sources)
        return Samples(self.values[kept], self.sources[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A fitted detector and how it does on images it was not fitted on.

    Attributes:
        detector: the fitted estimator.
        separations: by attack.
        train_sources, test_sources: the two sides of the split.
        normal_scores: (N,) scores of the normal test images, in the order of ``normal_sources``; higher is more
            adversarial.
        normal_sources: (N,) their indices.
        scores, sources: by attack, the same for its images.
        trained_on: the attacks it was fitted on.
        seed: of the split.
    """

    detector: Any
    separations: Mapping[str, Separation]
    train_sources: Integers
    test_sources: Integers
    normal_scores: Floats
    normal_sources: Integers
    scores: Mapping[str, Floats]
    sources: Mapping[str, Integers]
    trained_on: tuple[str, ...]
    seed: int

    @property
    def threshold(self) -> float:
        """The score above which at most 5 % of the normal images lie; an image above it is called adversarial."""
        return threshold_of(self.normal_scores)


def split_sources(sources: npt.NDArray[np.int64], train_share: float, seed: int) -> tuple[Integers, Integers]:
    """Divides test images at random into those to fit on and those to judge on, each sorted.

    Raises:
        InvalidInputError: if either side would be empty.
    """
    known = np.unique(sources).astype(np.int64)
    n_train = round(train_share * len(known))
    if not 0 < n_train < len(known):
        raise InvalidInputError(
            f"train share: expected one that leaves images on both sides; {train_share:g} of {len(known)} images is "
            f"{n_train}. Take more images, or another share."
        )
    shuffled = np.random.default_rng(seed).permutation(known)
    return np.sort(shuffled[:n_train]), np.sort(shuffled[n_train:])


def evaluate(
    detector: Any,
    normal: Samples,
    attacked: Mapping[str, Samples],
    *,
    train_on: Sequence[str] | None = None,
    train_share: float = TRAIN_SHARE,
    seed: int = 0,
) -> Evaluation:
    """Fits a detector on one side of the split and judges it on the other, attack by attack.

    Args:
        detector: an estimator with ``fit(X, y, sample_weight)`` and ``decision_function`` or ``predict_proba``.
        normal: normal test images.
        attacked: by attack, its successful adversarial images.
        train_on: the attacks to fit on; all if None. Every attack is judged.
        train_share: of the source images.
        seed: of the split.

    Raises:
        InvalidInputError: if there is nothing to fit or to judge.
    """
    chosen = tuple(attacked) if train_on is None else tuple(train_on)
    unknown = sorted(set(chosen) - set(attacked))
    if unknown or not chosen:
        known = ", ".join(attacked) or "none"
        raise InvalidInputError(f"train_on: expected attacks among {known}; got {', '.join(unknown) or 'none'}.")
    train, test = split_sources(normal.sources, train_share, seed)
    _fit(detector, normal.of(train), [attacked[name].of(train) for name in chosen])
    judged, there = normal.of(test), {name: samples.of(test) for name, samples in attacked.items()}
    separations = judge(detector, judged, there, seed)
    normal_scores = scores_of(detector, judged.values)
    scores = {name: scores_of(detector, there[name].values) for name in separations}
    sources = {name: there[name].sources for name in separations}
    return Evaluation(
        detector, separations, train, test, normal_scores, judged.sources, scores, sources, chosen, seed
    )  # fmt: skip


def judge(detector: Any, normal: Samples, attacked: Mapping[str, Samples], seed: int = 0) -> dict[str, Separation]:
    """How a fitted detector separates images it was not fitted on, by attack.

    An attack without an image is left out: one that never succeeded has nothing to detect.
    """
    scores = scores_of(detector, normal.values)
    return {
        name: separation(scores, scores_of(detector, samples.values), normal.sources, samples.sources, seed)
        for name, samples in attacked.items()
        if len(samples.sources)
    }


def _fit(detector: Any, normal: Samples, attacked: Sequence[Samples]) -> None:
    counts = [len(samples.sources) for samples in attacked]
    if not len(normal.sources) or not sum(counts):
        raise NothingToFitError(
            f"expected normal and attacked images to fit on; got {len(normal.sources)} and {sum(counts)}. "
            "Take more images, a larger share, or an attack that succeeds more often."
        )
    values = np.concatenate([normal.values, *[samples.values for samples in attacked]])
    labels = np.repeat([0, 1], [len(normal.sources), sum(counts)])
    detector.fit(values, labels, sample_weight=compute_sample_weight("balanced", labels))


def scores_of(detector: Any, values: Floats) -> Floats:
    """(N,) how adversarial each row looks to a fitted detector; higher is more."""
    if not len(values):
        return np.empty(0)
    if hasattr(detector, "decision_function"):
        return np.asarray(detector.decision_function(values), np.float64)
    return np.asarray(detector.predict_proba(values)[:, 1], np.float64)
