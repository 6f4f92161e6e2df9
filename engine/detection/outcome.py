"""What a detection study is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from engine.attacks.catalogue import attacks
from engine.datasets.dataset import Dataset
from engine.detection.adaptive_evaluation import (
    AdaptiveOutcome,
    AdaptiveSettings,
)
from engine.detection.attention import AttentionSettings
from engine.detection.contrast import Contrast
from engine.detection.protocol import TRAIN_SHARE, Evaluation
from engine.detection.storage import DetectorCard
from engine.detection.study import Plan, Study, StudyFeatures
from engine.network.classifiers import Classifier
from engine.paths.path import Part

ATTENTION = "latent attention"


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """What is done.

    Attributes:
        plans: the attacks.
        detectors: names in the catalogue, each fitted on path features.
        cdrp: detectors fitted on the gates of CDRP as well; none leaves this baseline out.
        attention: settings of the latent attention network, or None to leave this baseline out.
        adaptive: the attack that knows the detectors, which every one of them has to face.
        n_images: test images, the first that are classified correctly.
        part, last_layers: of the path features.
        train_share: of the source images, to fit on.
        seed: of attacks, split and detectors.
    """

    plans: tuple[Plan, ...]
    detectors: tuple[str, ...] = ("joint_similarity", "random_forest", "ada_boost", "gradient_boosting")
    cdrp: tuple[str, ...] = ()
    attention: AttentionSettings | None = None
    adaptive: AdaptiveSettings = field(default_factory=AdaptiveSettings)
    n_images: int = 1000
    part: Part = "synapses"
    last_layers: int | None = None
    train_share: float = TRAIN_SHARE
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What came of it.

    Attributes:
        settings: what was done.
        study: the images.
        features: what the path detectors saw.
        evaluations: by method, how it does; a method is a detector's name, ``cdrp + NAME``, or latent attention.
        adaptive: by method, how it fares against the attack that knows it.
        contrasts: of latent attention, if it was measured: by attack, its own measures over the images that judge, and
            over those whose clean mask is classified correctly.
        seconds: what "path features" and "cdrp" took for the same images, normal and attacked ones together.
        theta: of the paths.
    """

    settings: DetectionSettings
    study: Study
    features: StudyFeatures
    evaluations: Mapping[str, Evaluation]
    adaptive: Mapping[str, AdaptiveOutcome]
    contrasts: Mapping[str, tuple[Contrast, Contrast]]
    seconds: Mapping[str, float]
    theta: float = field(default=0.5)

    def table(self) -> list[dict[str, Any]]:
        """A row per method and attack: area under the ROC curve with its interval, and the rate found at 5 % false."""
        return [
            {
                "method": method, "attack": name, "auc": found.auc, "low": found.auc_low, "high": found.auc_high,
                "tpr at 5 % fpr": found.tpr, "normal": found.normal, "attacked": found.attacked,
            }
            for method, evaluation in self.evaluations.items()
            for name, found in evaluation.separations.items()
        ]  # fmt: skip

    def adaptive_table(self) -> list[dict[str, Any]]:
        """A row per method: how many images an attack that knows the detector was given, and how many got past both."""
        return [
            {
                "method": method, "epsilon": one.epsilon, "images": one.images, "misled": one.misled,
                "missed": one.missed, "rate": one.rate,
            }
            for method, one in self.adaptive.items()
        ]  # fmt: skip

    def contrast_table(self) -> list[dict[str, Any]]:
        """Two rows an attack: the measures of latent attention, over all images and over those whose mask is right."""
        return [
            {"attack": name, "images": which, **asdict(one)}
            for name, pair in self.contrasts.items()
            for which, one in zip(("all", "clean mask right"), pair, strict=True)
        ]

    @property
    def images_looked_at(self) -> int:
        """How many images :attr:`seconds` are of."""
        return len(self.features.normal.sources) + sum(len(one.sources) for one in self.features.attacked.values())

    def attack_table(self) -> list[dict[str, Any]]:
        """A row per attack: how often it succeeds, and the mean size of its successful changes."""
        rows = []
        for name, result in self.study.results.items():
            won = result.success

            def mean(values: np.ndarray, won: np.ndarray = won) -> float:
                return float(values[won].mean()) if won.any() else float("nan")

            rows.append(
                {
                    "attack": name, "scored": int(result.scored.sum()), "successes": int(won.sum()),
                    "success rate": float(result.success_rate), "l0": mean(result.l0), "l2": mean(result.l2),
                    "linf": mean(result.linf),
                }
            )  # fmt: skip
        return rows


def authors_plans() -> tuple[Plan, ...]:
    """The attacks of Qiu et al. 2018 and 2019 with their authors' settings, as far as the attacks offer them.

    C&W runs in its cheaper setting, whose changes are as small on LeNet-5; JSMA in both its forms; and noise images.
    """
    presets = {name: attacks[name].facts.get("presets", {}).get("authors", {}) for name in attacks.names()}
    plans = [
        Plan("FGSM", "fgsm", presets["fgsm"]),
        Plan("BIM", "bim", presets["bim"]),
        Plan("DeepFool", "deepfool", presets["deepfool"]),
        Plan("C&W", "carlini_wagner"),
        Plan("JSMA, single pixels", "jsma", presets["jsma"]),
        Plan("JSMA, pairs", "jsma"),
    ]
    if "unrecognisable" in attacks:
        plans.append(Plan("random images", "unrecognisable", {"kind": "uniform"}))
    return tuple(plans)


def card_of(name: str, found: Detection, classifier: Classifier, data: Dataset) -> DetectorCard:
    """What has to be known of a fitted detector to use it again; its threshold flags 5 % of the normal images."""
    evaluation = found.evaluations[name]
    return DetectorCard(
        detector=name,
        model_key=classifier.key,
        dataset_key=data.key,
        theta=found.theta,
        part=found.settings.part,
        last_layers=found.settings.last_layers,
        columns=found.features.names,
        attacks={plan.name: {"attack": plan.attack, "settings": dict(plan.settings)} for plan in found.settings.plans},
        threshold=evaluation.threshold,
        aucs={attack: one.auc for attack, one in evaluation.separations.items()},
        train_images=tuple(int(index) for index in evaluation.train_sources),
        usual=tuple(np.median(found.features.normal.values, axis=0).tolist()),
        adaptive=asdict(found.adaptive[name]),
    )
