"""The whole experiment: attack test images, look at their paths, fit detectors and judge them beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.attacks.catalogue import attacks
from engine.datasets.dataset import Dataset
from engine.detection.attention import AttentionSettings, train_attention
from engine.detection.catalogue import detectors
from engine.detection.cdrp import gate_features
from engine.detection.metrics import FALSE_POSITIVE_RATE, separation
from engine.detection.protocol import TRAIN_SHARE, Evaluation, Samples, evaluate
from engine.detection.storage import DetectorCard
from engine.detection.study import Plan, Study, StudyFeatures, run_study, study_features
from engine.network.classifiers import Classifier
from engine.paths.aggregation import ClassPaths
from engine.paths.path import Part
from engine.progress import Progress, silent, span

ATTENTION = "latent attention"


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """What is done.

    Attributes:
        plans: the attacks.
        detectors: names in the catalogue, each fitted on path features.
        cdrp: detectors fitted on the gates of CDRP as well; none leaves this baseline out.
        attention: settings of the latent attention network, or None to leave this baseline out.
        n_images: test images, the first that are classified correctly.
        part, last_layers: of the path features.
        train_share: of the source images, to fit on.
        seed: of attacks, split and detectors.
    """

    plans: tuple[Plan, ...]
    detectors: tuple[str, ...] = ("joint_similarity", "random_forest", "ada_boost", "gradient_boosting")
    cdrp: tuple[str, ...] = ()
    attention: AttentionSettings | None = None
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
        theta: of the paths.
    """

    settings: DetectionSettings
    study: Study
    features: StudyFeatures
    evaluations: Mapping[str, Evaluation]
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


def detect(
    classifier: Classifier,
    data: Dataset,
    class_paths: ClassPaths,
    settings: DetectionSettings,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Detection:
    """Runs the experiment.

    Args:
        classifier: whose paths are looked at.
        data: its data set.
        class_paths: of its training images; they fix θ.
        settings: what is done.
        folder: where attacked images are kept for the next experiment; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if the model has a warning, or a setting is out of range.
    """
    classifier.require_sound()
    model, plans = classifier.module, settings.plans
    study = run_study(
        model, data.test, plans, n_images=settings.n_images, seed=settings.seed, folder=folder,
        progress=span(progress, 0.0, 0.6),
    )  # fmt: skip
    features = study_features(
        model, study, class_paths, part=settings.part, last_layers=settings.last_layers,
        progress=span(progress, 0.6, 0.7),
    )  # fmt: skip
    evaluations = _fit_all(settings.detectors, features.normal, features.attacked, settings)
    if settings.cdrp:
        gates = _gates(model, study, span(progress, 0.7, 0.8))
        found = _fit_all(settings.cdrp, *gates, settings)
        evaluations |= {f"cdrp + {name}": evaluation for name, evaluation in found.items()}
    if settings.attention is not None:
        first = next(iter(evaluations.values()), None)
        judged = study.indices if first is None else first.test_sources
        report = span(progress, 0.8, 1.0)
        evaluations[ATTENTION] = _attention(model, data, study, judged, settings, report)
    progress(1.0, "done")
    return Detection(settings, study, features, evaluations, class_paths.theta)


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
        threshold=float(np.quantile(evaluation.normal_scores, 1 - FALSE_POSITIVE_RATE)),
        aucs={attack: one.auc for attack, one in evaluation.separations.items()},
        train_images=tuple(int(index) for index in evaluation.train_sources),
    )


def _fit_all(
    names: tuple[str, ...], normal: Samples, attacked: Mapping[str, Samples], settings: DetectionSettings
) -> dict[str, Evaluation]:
    found = {}
    for name in names:
        seeded = any(parameter.name == "seed" for parameter in detectors[name].parameters)
        detector = detectors[name].create(**({"seed": settings.seed} if seeded else {}))
        found[name] = evaluate(detector, normal, attacked, train_share=settings.train_share, seed=settings.seed)
    return found


def _gates(model: Any, study: Study, progress: Progress) -> tuple[Samples, dict[str, Samples]]:
    steps = len(study.results) + 1
    normal = gate_features(model, study.images, progress=span(progress, 0.0, 1 / steps))
    attacked = {}
    for number, name in enumerate(study.results):
        images, sources = study.successes(name)
        report = span(progress, (number + 1) / steps, (number + 2) / steps)
        values = gate_features(model, images, progress=report) if len(images) else np.empty((0, normal.shape[1]))
        attacked[name] = Samples(values.astype(np.float64), sources)
    return Samples(normal.astype(np.float64), study.indices), attacked


def _attention(
    model: Any, data: Dataset, study: Study, judged: np.ndarray, settings: DetectionSettings, progress: Progress
) -> Evaluation:
    """Latent attention needs no attacked image to learn from; it is judged on the same images as the others."""
    detector = train_attention(model, data.train, len(data.classes), settings.attention, progress=progress)
    normal = Samples(detector.scores(study.images, study.labels)[:, np.newaxis], study.indices).of(judged)
    scores, sources, separations = {}, {}, {}
    for name, result in study.results.items():
        images, origins = study.successes(name)
        if not len(images):
            continue
        values = detector.scores(images, result.predictions_after[result.success])
        there = Samples(values[:, np.newaxis], origins).of(judged)
        if not len(there.sources):
            continue
        scores[name], sources[name] = there.values[:, 0], there.sources
        separations[name] = separation(
            normal.values[:, 0], scores[name], normal.sources, there.sources, settings.seed
        )  # fmt: skip
    nothing = np.empty(0, np.int64)
    return Evaluation(
        detector, separations, nothing, judged, normal.values[:, 0], normal.sources, scores, sources, (), settings.seed
    )  # fmt: skip
