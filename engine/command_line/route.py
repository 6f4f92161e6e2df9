"""The verb route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, load_for, output_file, settings_of
from engine.command_line.printing import progress_bar, verb
from engine.route.outcomes import Compared
from engine.route.report import write_report
from engine.route.routes import KEPT, SHARE
from engine.route.study import RouteSettings, RouteStudy, run_route

SHOWN = 5


@click.command()
@click.argument("model")
@click.option("--attack", "name", default="pgd_linf", type=click.Choice(attacks.names()), help="Which attack.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the attack; may be repeated."
)
@click.option("--images", "n_images", default=200, type=click.IntRange(min=1), help="Test images to experiment on.")
@click.option("--route-images", default=500, type=click.IntRange(min=1), help="Training images to make the route from.")
@click.option("--share", default=SHARE, type=float, help="Share of units on an image's route, above 0, up to 1.")
@click.option("--kept", default=KEPT, type=float, help="Share of units on the model's route, above 0, up to 1.")
@click.option(
    "--fgsm-epsilon", type=float, help="Of the attack that hardness is judged by; 0.1 for grey images, 2/255."
)
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of the attacks and the controls.")
@click.option("--output", type=output_file(".json"), help="Save everything that was measured.")
@verb
def route(
    model: str, name: str, settings: tuple[str, ...], n_images: int, route_images: int, share: float, kept: float,
    fgsm_epsilon: float | None, seed: int, output: Path | None,
) -> Any:  # fmt: skip
    """Find the units of MODEL that an attack travels through, and what changing them does."""
    wanted = RouteSettings(
        attack=name, attack_settings=attacks[name].create(**settings_of(settings)).settings, n_images=n_images,
        route_images=route_images, share=share, kept=kept, fgsm_epsilon=fgsm_epsilon, seed=seed,
    )  # fmt: skip
    classifier, data = load_for(model)
    with progress_bar("route") as report:
        found = run_route(classifier, data, wanted, folder=attack_folder(), progress=report)
    if output is not None:
        write_report(output, found, classifier)
    return {
        "model": classifier.name, "attack": found.pairs.attack, "settings": dict(found.pairs.settings), "seed": seed,
        "route images": found.route.n_images, "images": len(found.pairs), "misled": float(found.pairs.misled.mean()),
        "layers": _layers(found), "transplant": _transplant(found), "deactivation": _deactivation(found),
        "weakening": _weakening(found),
        "survival of fgsm, easy to hard": found.survival.groups.tolist(), "fgsm epsilon": found.fgsm_epsilon,
        "seconds": dict(found.seconds),
    }  # fmt: skip


def _layers(found: RouteStudy) -> list[dict[str, Any]]:
    return [
        {
            "layer": layer.name, "units": layer.units, "on route": len(layer.chosen),
            "mean occurrence": layer.mean_occurrence, "sensitivity on/off": sensitivity.ratio, "p": sensitivity.p,
            "gradient on/off": gradient.ratio, "most frequent units": layer.order[:SHOWN].tolist(),
        }
        for layer, sensitivity, gradient in zip(
            found.route.layers, found.sensitivity_contrast, found.gradient_contrast, strict=True
        )
    ]  # fmt: skip


def _transplant(found: RouteStudy) -> list[dict[str, Any]]:
    return [
        {"layers": ", ".join(one.layers), "units": one.units, "others": one.control_units} | _beside(one.repaired)
        for one in (*found.transplant.single, *found.transplant.cumulative[1:])
    ]


def _deactivation(found: RouteStudy) -> list[dict[str, Any]]:
    return [
        {"layer": one.layer, "images": which, "units": one.units, "others": one.control_units} | _beside(shares)
        for one in found.deactivation
        for which, shares in (("clean", one.clean), ("adversarial", one.adversarial))
    ]


def _weakening(found: RouteStudy) -> list[dict[str, Any]]:
    return [
        {"layers": ", ".join(one.layers), "beta": beta, "images": which}
        | _beside(Compared(shares.route[number], shares.control[:, number]))
        for one in found.weakening
        for which, shares in (("clean", one.clean), ("adversarial", one.adversarial))
        for number, beta in enumerate(one.betas.tolist())
    ]


def _beside(shares: Compared) -> dict[str, float]:
    """The share of images given their label: for the route, and the control's mean and spread."""
    return {"route": float(shares.route), "control": float(shares.mean), "spread": float(shares.spread)}
