"""The verb detect sweep."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, class_paths_for, load_for, plans_of
from engine.command_line.printing import progress_bar, verb
from engine.datasets.dataset import Dataset
from engine.detection.catalogue import detectors
from engine.detection.study import Plan, Study, run_study, study_features
from engine.detection.sweeps import (
    SweepPoint,
    seen_order,
    sweep_attacks_seen,
    sweep_last_layers,
    sweep_parts,
    sweep_theta,
    sweep_training_size,
)
from engine.network.classifiers import Classifier
from engine.progress import Progress, span

KINDS = ("theta", "training-size", "attacks-seen", "last-layers", "parts")
# Shares of the images to fit on, when their number is varied.
TRAINING_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.9)


@click.command("sweep")
@click.argument("model")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--attack", "names", multiple=True, required=True, type=click.Choice(attacks.names()), help="Repeatable.")
@click.option("--detector", default="joint_similarity", type=click.Choice(detectors.names()), help="Which detector.")
@click.option("--images", "n_images", default=1000, type=click.IntRange(min=20), help="Correctly classified images.")
@click.option("--train-share", default=0.1, type=click.FloatRange(0, 1), help="Share of the images to fit on.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**31 - 1), help="Seed of attacks, split and detector.")
@verb
def sweep(
    model: str, kind: str, names: tuple[str, ...], detector: str, n_images: int, train_share: float, seed: int
) -> Any:
    """Vary what a detector is given, and see how well it still separates attacked from normal images."""
    classifier, data = load_for(model)
    plans = plans_of(names)
    with progress_bar(f"sweep {kind}") as report:
        study = run_study(
            classifier.module, data.test, plans, n_images=n_images, seed=seed, folder=attack_folder(),
            progress=span(report, 0.0, 0.5),
        )  # fmt: skip
        split = {"train_share": train_share, "seed": seed}
        points = _points(kind, classifier, data, study, plans, detector, split, span(report, 0.5, 1.0))
    return {"model": classifier.name, "detector": detector, "points": [asdict(point) for point in points]}


def _points(
    kind: str, classifier: Classifier, data: Dataset, study: Study, plans: tuple[Plan, ...], detector: str,
    split: dict[str, Any], progress: Progress,
) -> list[SweepPoint]:  # fmt: skip
    make, model = detectors[detector].create, classifier.module
    if kind == "theta":
        return sweep_theta(
            make, model, study, lambda theta, _: class_paths_for(classifier, data, theta), progress=progress, **split
        )
    class_paths = class_paths_for(classifier, data, 0.5)
    if kind == "parts":
        return sweep_parts(make, model, study, class_paths, progress=progress, **split)
    features = study_features(model, study, class_paths, progress=progress)
    if kind == "attacks-seen":
        order = seen_order({plan.name: plan.attack for plan in plans})
        return sweep_attacks_seen(make, features, order, **split)
    if kind == "last-layers":
        return sweep_last_layers(make, features, **split)
    sizes = sorted({max(2, round(len(study.indices) * share)) for share in TRAINING_SHARES})
    return sweep_training_size(make, features, sizes, seed=split["seed"])
