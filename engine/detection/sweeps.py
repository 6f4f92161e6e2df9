"""How detection depends on what it is given: θ, training images, attacks seen, layers, synapses or weights.

The sweeps of Qiu et al. 2019, section 5.2 and 5.3 (figures 9 to 11) and 2018, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from engine.detection.protocol import TRAIN_SHARE, NothingToFitError, Samples, evaluate
from engine.detection.study import Study, StudyFeatures, study_features
from engine.errors import InvalidInputError
from engine.paths.aggregation import ClassPaths
from engine.paths.path import Part
from engine.progress import Progress, silent, span

MakeDetector = Callable[[], Any]
#: Gives the features of a study at a θ, of a part of the paths.
FeaturesAt = Callable[[float, Part, Progress], StudyFeatures]
PARTS: tuple[Part, ...] = ("synapses", "weights")
SWEEPS = ("theta", "training-size", "attacks-seen", "last-layers", "parts")
# Shares of the images to fit on, when their number is varied.
TRAINING_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.9)
THETAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# The order in which the paper's figure 10 adds attacks, by the attack of a plan; others follow in their own order.
ORDER_SEEN = ("deepfool", "fgsm", "bim", "jsma", "carlini_wagner", "patch", "unrecognisable")


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One measurement of a sweep.

    Attributes:
        value: of what is varied.
        attack: the attack that is judged.
        auc, low, high: area under the ROC curve and its 95 % interval.
        is_seen: whether the detector was fitted on that attack.
    """

    value: float | str
    attack: str
    auc: float
    low: float
    high: float
    is_seen: bool


def features_of(
    model: nn.Module,
    study: Study,
    class_paths: Callable[[float, Progress], ClassPaths],
    *,
    last_layers: int | None = None,
    known: Mapping[tuple[float, Part], StudyFeatures] | None = None,
) -> FeaturesAt:
    """What gives the features of a study at any θ and for either part, each extracted once.

    Args:
        model: whose paths are looked at.
        study: the images.
        class_paths: gives the class paths at a θ; takes most of the time.
        last_layers: only the last so many layers.
        known: features that are there already.
    """
    kept = dict(known or {})

    def at(theta: float, part: Part, progress: Progress) -> StudyFeatures:
        if (theta, part) not in kept:
            paths = class_paths(theta, span(progress, 0.0, 0.8))
            kept[theta, part] = study_features(
                model, study, paths, part=part, last_layers=last_layers, progress=span(progress, 0.8, 1.0)
            )
        return kept[theta, part]

    return at


def run_sweep(
    kind: str,
    make: MakeDetector,
    study: Study,
    features_at: FeaturesAt,
    *,
    theta: float = 0.5,
    part: Part = "synapses",
    train_share: float = TRAIN_SHARE,
    seed: int = 0,
    progress: Progress = silent,
) -> list[SweepPoint]:
    """Runs the sweep of that name.

    Args:
        kind: one of :data:`SWEEPS`.
        make: makes an unfitted detector.
        study: the images.
        features_at: gives their features, see :func:`features_of`.
        theta, part: where they are not varied themselves.
        train_share, seed: of the split; the share where it is not varied.
        progress: may raise Cancelled.

    Returns:
        the points; one is left out where no attack succeeded on an image to fit on.

    Raises:
        InvalidInputError: for another kind.
    """
    if kind not in SWEEPS:
        raise InvalidInputError(f"sweep: expected one of {', '.join(SWEEPS)}; got {kind[:60]!r}.")
    split: dict[str, Any] = {"train_share": train_share, "seed": seed}
    if kind == "theta":
        return sweep_theta(make, features_at, part=part, progress=progress, **split)
    if kind == "parts":
        return sweep_parts(make, features_at, theta=theta, progress=progress, **split)
    features = features_at(theta, part, progress)
    if kind == "attacks-seen":
        order = seen_order({name: result.attack for name, result in study.results.items()})
        return sweep_attacks_seen(make, features, order, **split)
    if kind == "last-layers":
        return sweep_last_layers(make, features, **split)
    sizes = sorted({max(2, round(len(study.indices) * share)) for share in TRAINING_SHARES})
    return sweep_training_size(make, features, sizes, seed=seed)


def sweep_training_size(
    make: MakeDetector, features: StudyFeatures, sizes: Sequence[int], *, seed: int = 0
) -> list[SweepPoint]:
    """Fits on so many source images; judges on the rest.

    Raises:
        InvalidInputError: for a size that leaves no image to fit or to judge on.
    """
    total = len(np.unique(features.normal.sources))
    points = []
    for size in sizes:
        if not 0 < size < total:
            raise InvalidInputError(f"training size: expected 1 to {total - 1} images; got {size}.")
        points += _points(make, features.normal, features.attacked, size, train_share=size / total, seed=seed)
    return points


def sweep_attacks_seen(
    make: MakeDetector,
    features: StudyFeatures,
    order: Sequence[str],
    *,
    train_share: float = TRAIN_SHARE,
    seed: int = 0,
) -> list[SweepPoint]:
    """Fits on the first attack of ``order``, the first two, and so on; judges every attack each time."""
    points = []
    for count in range(1, len(order) + 1):
        seen = tuple(order[:count])
        points += _points(
            make, features.normal, features.attacked, count, train_on=seen, train_share=train_share, seed=seed
        )  # fmt: skip
    return points


def seen_order(attacks: Mapping[str, str]) -> list[str]:
    """The plans of a study, by name, in the paper's order of their attacks."""
    known = {attack: place for place, attack in enumerate(ORDER_SEEN)}
    return sorted(attacks, key=lambda name: known.get(attacks[name], len(known)))


def sweep_last_layers(
    make: MakeDetector, features: StudyFeatures, *, train_share: float = TRAIN_SHARE, seed: int = 0
) -> list[SweepPoint]:
    """Takes the features of the last layer, the last two, and so on.

    Extraction goes backwards, so that the synapses of the last n layers do not depend on where it stops: the columns of
    the full path are those of the partial one.
    """
    count = len(features.names) // 2
    points = []
    for kept in range(1, count + 1):
        columns = np.r_[count - kept : count, 2 * count - kept : 2 * count]
        normal = Samples(features.normal.values[:, columns], features.normal.sources)
        attacked = {name: Samples(s.values[:, columns], s.sources) for name, s in features.attacked.items()}
        points += _points(make, normal, attacked, kept, train_share=train_share, seed=seed)
    return points


def sweep_parts(
    make: MakeDetector, features_at: FeaturesAt, *, theta: float = 0.5, train_share: float = TRAIN_SHARE,
    seed: int = 0, progress: Progress = silent,
) -> list[SweepPoint]:  # fmt: skip
    """Compares synapses with weights."""
    points = []
    for number, part in enumerate(PARTS):
        found = features_at(theta, part, span(progress, number / len(PARTS), (number + 1) / len(PARTS)))
        points += _points(make, found.normal, found.attacked, part, train_share=train_share, seed=seed)
    return points


def sweep_theta(
    make: MakeDetector, features_at: FeaturesAt, thetas: Sequence[float] = THETAS, *, part: Part = "synapses",
    train_share: float = TRAIN_SHARE, seed: int = 0, progress: Progress = silent,
) -> list[SweepPoint]:  # fmt: skip
    """Takes class paths and the images' paths at each θ, in (0, 1]."""
    points = []
    for number, theta in enumerate(thetas):
        found = features_at(theta, part, span(progress, number / len(thetas), (number + 1) / len(thetas)))
        points += _points(make, found.normal, found.attacked, theta, train_share=train_share, seed=seed)
    return points


def _points(
    make: MakeDetector, normal: Samples, attacked: Mapping[str, Samples], value: float | str, **settings: Any
) -> list[SweepPoint]:
    try:
        evaluation = evaluate(make(), normal, attacked, **settings)
    except NothingToFitError:  # few images, or an attack that seldom succeeds: this value tells nothing
        return []
    return [
        SweepPoint(value, attack, found.auc, found.auc_low, found.auc_high, attack in evaluation.trained_on)
        for attack, found in evaluation.separations.items()
    ]
