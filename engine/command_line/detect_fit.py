"""The verb detect fit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, class_paths_for, load_for, on_cluster, output_file, plans_of
from engine.command_line.printing import progress_bar, verb
from engine.detection.adaptive_evaluation import AdaptiveSettings
from engine.detection.attention import AttentionSettings
from engine.detection.catalogue import detectors
from engine.detection.experiment import detect, run_sweeps
from engine.detection.outcome import DetectionSettings, authors_plans, card_of
from engine.detection.report import write_report
from engine.detection.storage import save_detector
from engine.detection.sweeps import SWEEPS
from engine.paths.aggregation import ClassPaths
from engine.progress import Progress

FOLDER = click.Path(file_okay=False, path_type=Path)
TREES = ("random_forest", "ada_boost", "gradient_boosting")


@click.command("fit")
@click.argument("model")
@click.option("--attack", "names", multiple=True, type=click.Choice(attacks.names()), help="May be repeated.")
@click.option("--authors", is_flag=True, help="The attacks of Qiu et al. with their authors' settings.")
@click.option("--detector", "chosen", multiple=True, type=click.Choice(detectors.names()), help="All if not given.")
@click.option("--baselines", is_flag=True, help="Measure CDRP and latent attention beside the path; takes minutes.")
@click.option("--images", "n_images", default=1000, type=click.IntRange(min=20), help="Correctly classified images.")
@click.option("--theta", default=0.5, type=float, help="Share of each neuron's value to explain, above 0, up to 1.")
@click.option("--weights", is_flag=True, help="Compare weights instead of synapses.")
@click.option("--last-layers", type=click.IntRange(min=1), help="Features of so many layers from the end.")
@click.option("--train-share", default=0.1, type=click.FloatRange(0, 1), help="Share of the images to fit on.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**31 - 1), help="Seed of attacks, split and detectors.")
@click.option("--adaptive-epsilon", default=0.2, type=click.FloatRange(0, 1), help="Radius of the attack that knows.")
@click.option("--sweep", "kinds", multiple=True, type=click.Choice(SWEEPS), help="Vary this too; may be repeated.")
@click.option("--output", type=output_file(".json"), help="Save tables, scores and ROC curves.")
@click.option("--save", "target", type=FOLDER, help="Save the fitted detector in this folder; needs one --detector.")
@on_cluster
@verb
def fit(
    model: str, names: tuple[str, ...], authors: bool, chosen: tuple[str, ...], baselines: bool, n_images: int,
    theta: float, weights: bool, last_layers: int | None, train_share: float, seed: int, adaptive_epsilon: float,
    kinds: tuple[str, ...], output: Path | None, target: Path | None, cluster: str | None,
) -> Any:  # fmt: skip
    """Attack test images of MODEL's data set, fit detectors on a share of them and judge these on the rest."""
    if authors == bool(names):
        raise click.UsageError("give either --authors or one or more --attack.")
    if target is not None and len(chosen) != 1:
        raise click.UsageError("--save keeps one detector; name it with --detector.")
    plans = authors_plans() if authors else plans_of(names)
    classifier, data = load_for(model)
    settings = DetectionSettings(
        plans=plans, detectors=chosen or tuple(detectors.names()), cdrp=TREES if baselines else (),
        attention=AttentionSettings(seed=seed) if baselines else None,
        adaptive=AdaptiveSettings(adaptive_epsilon), n_images=n_images,
        part="weights" if weights else "synapses", last_layers=last_layers, train_share=train_share, seed=seed,
    )  # fmt: skip
    class_paths = class_paths_for(classifier, data, theta, cluster=cluster)
    with progress_bar("detect") as report:
        found = detect(classifier, data, class_paths, settings, folder=attack_folder(), progress=report)

    def class_paths_at(at: float, _: Progress) -> ClassPaths:
        return class_paths_for(classifier, data, at, cluster=cluster)  # shows its own bar

    with progress_bar("sweeps") as report:
        sweeps = run_sweeps(found, classifier, kinds, class_paths_at, progress=report)
    if output is not None:
        write_report(output, found, classifier, sweeps)
    if target is not None:
        evaluation = found.evaluations[chosen[0]]
        save_detector(target, evaluation.detector, card_of(chosen[0], found, classifier, data))
    return {
        "model": classifier.name, "theta": theta, "images": len(found.study.indices),
        "attacks": found.attack_table(), "detectors": found.table(), "adaptive": found.adaptive_table(),
        "sweeps": [
            {"sweep": kind, "detector": name} | asdict(point)
            for kind, by_detector in sweeps.items()
            for name, points in by_detector.items()
            for point in points
        ],
        "contrast": found.contrast_table(), "seconds": dict(found.seconds), "images looked at": found.images_looked_at,
    }  # fmt: skip
