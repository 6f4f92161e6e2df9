"""The verb detect sweep."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, class_paths_for, load_for, on_cluster, plans_of
from engine.command_line.printing import progress_bar, verb
from engine.detection.catalogue import detectors
from engine.detection.study import run_study
from engine.detection.sweeps import SWEEPS, features_of, run_sweep
from engine.paths.aggregation import ClassPaths
from engine.progress import Progress, span

THETA = 0.5


@click.command("sweep")
@click.argument("model")
@click.argument("kind", type=click.Choice(SWEEPS))
@click.option("--attack", "names", multiple=True, required=True, type=click.Choice(attacks.names()), help="Repeatable.")
@click.option("--detector", default="joint_similarity", type=click.Choice(detectors.names()), help="Which detector.")
@click.option("--images", "n_images", default=1000, type=click.IntRange(min=20), help="Correctly classified images.")
@click.option("--train-share", default=0.1, type=click.FloatRange(0, 1), help="Share of the images to fit on.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**31 - 1), help="Seed of attacks, split and detector.")
@on_cluster
@verb
def sweep(
    model: str, kind: str, names: tuple[str, ...], detector: str, n_images: int, train_share: float, seed: int,
    cluster: str | None,
) -> Any:  # fmt: skip
    """Vary what a detector is given, and see how well it still separates attacked from normal images."""
    classifier, data = load_for(model)
    plans = plans_of(names)
    with progress_bar(f"sweep {kind}") as report:
        study = run_study(
            classifier.module, data.test, plans, n_images=n_images, seed=seed, folder=attack_folder(),
            progress=span(report, 0.0, 0.5),
        )  # fmt: skip

        def class_paths(at: float, _: Progress) -> ClassPaths:
            return class_paths_for(classifier, data, at, cluster=cluster)  # shows its own bar

        points = run_sweep(
            kind, detectors[detector].create, study, features_of(classifier.module, study, class_paths), theta=THETA,
            train_share=train_share, seed=seed, progress=span(report, 0.5, 1.0),
        )  # fmt: skip
    return {"model": classifier.name, "detector": detector, "points": [asdict(point) for point in points]}
