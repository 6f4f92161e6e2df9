"""The verb detect evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, class_paths_for, load_for, on_cluster, plans_of
from engine.command_line.printing import progress_bar, verb
from engine.detection.protocol import judge
from engine.detection.storage import load_detector
from engine.detection.study import run_study, study_features
from engine.progress import span


@click.command("evaluate")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("model")
@click.option("--attack", "names", multiple=True, required=True, type=click.Choice(attacks.names()), help="Repeatable.")
@click.option("--images", "n_images", default=1000, type=click.IntRange(min=20), help="Correctly classified images.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**31 - 1), help="Seed of the attacks.")
@on_cluster
@verb
def evaluate_saved(
    folder: Path, model: str, names: tuple[str, ...], n_images: int, seed: int, cluster: str | None
) -> Any:
    """Judge the detector in FOLDER on test images of MODEL's data set that it was not fitted on."""
    classifier, data = load_for(model)
    detector, card = load_detector(folder, model_key=classifier.key, dataset_key=data.key)
    class_paths = class_paths_for(classifier, data, card.theta, cluster=cluster)
    with progress_bar("detect") as report:
        study = run_study(
            classifier.module, data.test, plans_of(names), n_images=n_images, seed=seed, folder=attack_folder(),
            progress=span(report, 0.0, 0.8),
        )  # fmt: skip
        features = study_features(
            classifier.module, study, class_paths, part=card.part, last_layers=card.last_layers,
            progress=span(report, 0.8, 1.0),
        )  # fmt: skip
    judged = np.setdiff1d(study.indices, card.train_images)
    found = judge(detector, features.normal.of(judged), {n: s.of(judged) for n, s in features.attacked.items()}, seed)
    rows = [
        {"attack": name, "auc": one.auc, "low": one.auc_low, "high": one.auc_high, "tpr at 5 % fpr": one.tpr}
        for name, one in found.items()
    ]
    return {
        "detector": card.detector, "fitted on": list(card.attacks), "threshold": card.threshold,
        "images": len(judged), "attacks": rows, "adaptive": dict(card.adaptive),
    }  # fmt: skip
