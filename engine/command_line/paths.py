"""The verbs for effective paths: paths, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engine.command_line.options import class_paths_for, class_paths_kept, load_for, on_cluster, output_file
from engine.command_line.printing import progress_bar, verb
from engine.errors import InvalidInputError
from engine.names import told_apart
from engine.paths.class_paths import save_class_paths, with_sound_file
from engine.paths.extraction import EffectivePath
from engine.paths.survey import SURVEYED, ClassSurvey, survey_once


@click.command()
@click.argument("model")
@click.option("--index", default=0, type=click.IntRange(min=0), help="Which test image.")
@click.option("--rank", default=1, type=click.IntRange(min=1), help="Start from the logit of this place.")
@click.option("--target", type=click.IntRange(min=0), help="Start from this class's logit instead.")
@click.option("--theta", default=0.5, type=float, help="Share of each neuron's value to explain, above 0, up to 1.")
@click.option("--last-layers", type=click.IntRange(min=1), help="Stop after so many layers from the end.")
@click.option("--output", type=output_file(".npz"), help="Save the path as .npz.")
@verb
def paths(
    model: str, index: int, rank: int, target: int | None, theta: float, last_layers: int | None, output: Path | None
) -> Any:
    """Extract the effective path of one test image of MODEL's data set."""
    classifier, data = load_for(model)
    if index >= len(data.test):
        raise InvalidInputError(f"--index: expected at most {len(data.test) - 1}; got {index}.")
    extractor = EffectivePath(classifier.module, theta, last_layers)
    path = extractor.extract(data.test.images([index]), rank=rank, target=target)[0]
    if output is not None:
        path.save(output)
    assert path.target is not None
    layers = [
        {"layer": layer, "synapses": len(path.synapses[layer]), "weights": len(path.weights[layer]),
         "neurons": len(path.neurons[layer]), "density": path.density_per_layer()[layer]}
        for layer in path.layers
    ]  # fmt: skip
    return {
        "model": classifier.name, "image": index, "label": data.classes[int(data.test.labels[index])],
        "starts from": classifier.classes[path.target], "theta": theta, "density": path.density(), "layers": layers,
    }  # fmt: skip


@click.command()
@click.argument("model")
@click.option("--theta", default=0.5, type=float, help="Share of each neuron's value to explain, above 0, up to 1.")
@click.option("--images", "n_images", type=click.IntRange(min=1), help="Only the first so many training images.")
@click.option("--output", type=output_file(".npz"), help="Save the class paths as .npz.")
@on_cluster
@verb
def classes(model: str, theta: float, n_images: int | None, output: Path | None, cluster: str | None) -> Any:
    """Compute the class paths of MODEL on its training images, and which classes share a path.

    Work that is stopped goes on where it was when the same command is given again.
    """
    classifier, data = load_for(model)
    file = class_paths_kept(classifier, data, theta, n_images)

    def surveyed() -> ClassSurvey:
        found = class_paths_for(classifier, data, theta, n_images, cluster)
        if output is not None:
            save_class_paths(output, found)
        with progress_bar("comparing") as report:
            return survey_once(found, file=file.with_suffix(SURVEYED), progress=report)

    survey = with_sound_file(file, surveyed)
    return {
        "model": classifier.name, "theta": theta, "images": int(survey.counts.sum()),
        "overall density": survey.density(),
        "density per layer": survey.density_per_layer(),
        "mean similarity": survey.mean_similarity(),
        "classes without images": [n for n, count in zip(survey.class_names, survey.counts, strict=True) if not count],
        "density growth": survey.growth,
        "similarities are": _how_exact(survey),
        "similarity": _rows(survey),
    }  # fmt: skip


def _how_exact(survey: ClassSurvey) -> str:
    if survey.drawn is None:
        return "exact"
    return (
        f"estimated from {survey.drawn:,} synapse ids drawn at random, with a standard error of at most "
        f"{survey.standard_error:.2g}"
    )


def _rows(survey: ClassSurvey) -> list[dict[str, object]]:
    """The matrix, by name; classes of one name have their number beside it."""
    names = told_apart(survey.class_names, taken=["class"])
    return [
        {"class": name, **dict(zip(names, row, strict=True))}
        for name, row in zip(names, survey.similarity.tolist(), strict=True)
    ]
