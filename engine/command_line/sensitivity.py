"""The verb sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, load_for, output_file, settings_of
from engine.command_line.printing import progress_bar, verb
from engine.network.classifiers import load_classifier
from engine.sensitivity.measuring import Sensitivity
from engine.sensitivity.report import write_report
from engine.sensitivity.study import SensitivitySettings, SensitivityStudy, run_sensitivity

SHOWN = 5


@click.command()
@click.argument("model")
@click.option("--attack", "name", default="pgd_linf", type=click.Choice(attacks.names()), help="Which attack.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the attack; may be repeated."
)
@click.option("--images", "n_images", default=200, type=click.IntRange(min=1), help="Correctly classified images.")
@click.option("--activated", is_flag=True, help="Look at the units after their activation.")
@click.option("--share", default=0.1, type=float, help="Share of the units to damp, above 0, up to 1.")
@click.option("--top", "k", default=20, type=click.IntRange(min=1), help="Length of the lists that are compared.")
@click.option("--against", "against", multiple=True, metavar="MODEL", help="Another model to measure; may be repeated.")
@click.option(
    "--strength", "strengths", multiple=True, type=float,
    help="A strength ε to vary; may be repeated. If not given, quarters of the attack's own.",
)  # fmt: skip
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of the attack and the controls.")
@click.option("--output", type=output_file(".json"), help="Save everything that was measured.")
@verb
def sensitivity(
    model: str, name: str, settings: tuple[str, ...], n_images: int, activated: bool, share: float, k: int,
    against: tuple[str, ...], strengths: tuple[float, ...], seed: int, output: Path | None,
) -> Any:  # fmt: skip
    """Measure which units of MODEL an attack moves most, what they are worth, and what damping them does."""
    wanted = SensitivitySettings(
        attack=name, attack_settings=attacks[name].create(**settings_of(settings)).settings, n_images=n_images,
        activated=activated, k=k, share=share, strengths=strengths or None, seed=seed,
    )  # fmt: skip
    wanted.chosen_strengths()
    classifier, data = load_for(model)
    others = [load_classifier(other) for other in against]
    with progress_bar("sensitivity") as report:
        found = run_sensitivity(classifier, data, wanted, others=others, folder=attack_folder(), progress=report)
    if output is not None:
        write_report(output, found, classifier, others)
    return {
        "model": classifier.name, "attack": found.pairs.attack, "settings": dict(found.pairs.settings), "seed": seed,
        "images": len(found.pairs), "misled": float(found.pairs.misled.mean()),
        "layers": _layers(found.sensitivity), **_tables(found), "seconds": dict(found.seconds),
    }  # fmt: skip


def _layers(found: Sensitivity) -> list[dict[str, Any]]:
    return [
        {
            "layer": layer.name, "units": layer.units, "mean sensitivity": float(layer.values.mean()),
            "mean ratio": layer.mean_ratio, "most sensitive units": layer.top(SHOWN).tolist(),
        }
        for layer in found.layers
    ]  # fmt: skip


def _tables(found: SensitivityStudy) -> dict[str, Any]:
    tables: dict[str, Any] = {
        "target classes": [
            {"layer": one.name, "classes": len(one.classes), "levenshtein": one.levenshtein, "jaccard": one.jaccard}
            for one in found.agreement
        ],
        "importance": found.reason if found.penultimate is None else _importance(found),
        "suppression": [
            {"layer": one.layer, "units": one.units} | _row(beta, accuracies)
            for one in found.suppression
            for beta, *accuracies in zip(
                one.betas, one.sensitive_clean, one.sensitive_adversarial, one.control_clean.mean(axis=0),
                one.control_adversarial.mean(axis=0), strict=True,
            )
        ],
    }  # fmt: skip
    if found.strength is not None:
        curve = found.strength
        tables["strength"] = [
            {"epsilon": float(epsilon), "misled": float(misled)} | dict(zip(curve.layers, ratios.tolist(), strict=True))
            for epsilon, misled, ratios in zip(curve.strengths, curve.success, curve.ratios, strict=True)
        ]
    for name, other in found.comparison.models.items():
        tables[name] = _layers(other)
    return tables


def _row(beta: float, accuracies: Sequence[np.float64]) -> dict[str, float]:
    names = ("sensitive, clean", "sensitive, attacked", "control, clean", "control, attacked")
    return {"beta": float(beta)} | {name: float(value) for name, value in zip(names, accuracies, strict=True)}


def _importance(found: SensitivityStudy) -> list[dict[str, Any]]:
    assert found.penultimate is not None
    importance = found.penultimate.importance
    return [
        {
            "class": one.label, "images": int(importance.images[one.label]), "spearman": one.spearman,
            "levenshtein": one.levenshtein, "most important units": importance.top(one.label)[:SHOWN].tolist(),
        }
        for one in found.penultimate.agreement
    ]  # fmt: skip
