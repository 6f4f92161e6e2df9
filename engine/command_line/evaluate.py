"""The verb evaluate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from engine.attacks.catalogue import attacks
from engine.command_line.options import attack_folder, load_for, output_file, settings_of, usable_device
from engine.command_line.printing import progress_bar, verb
from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.files import write_atomically
from engine.network.classifiers import Classifier
from engine.robustness.comparison import RobustnessComparison, compare_tables
from engine.robustness.plans import limited, plan_of
from engine.robustness.presets import PRESETS, Preset, preset, preset_for
from engine.robustness.study import CHECKED_IMAGES, RobustnessStudy, robustness_study

#: Families whose attacks take so long that they are given fewer images.
SLOW = ("black-box", "yardstick")


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--preset", "preset_name", type=click.Choice(list(PRESETS)), help="By default the data set's own.")
@click.option("--attack", "names", multiple=True, type=click.Choice(attacks.names()), help="In place of the preset's.")
@click.option("--without", multiple=True, type=click.Choice(attacks.names()), help="Not this one of the preset's.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of a single --attack.")
@click.option("--images", "n_images", default=1000, type=click.IntRange(min=1), help="The first so many test images.")
@click.option("--slow-images", type=click.IntRange(min=1), help="So many for slow attacks; the preset's if not given.")
@click.option("--curve", is_flag=True, help="Accuracy against the strength of PGD, on all of the images.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of the attacks.")
@click.option("--device", default="cpu", callback=usable_device, help="cpu or cuda.")
@click.option("--output", type=output_file(".json"), help="Save everything, image by image, as .json.")
@verb
def evaluate(
    models: tuple[str, ...], preset_name: str | None, names: tuple[str, ...], without: tuple[str, ...],
    settings: tuple[str, ...], n_images: int, slow_images: int | None, curve: bool, seed: int, device: str,
    output: Path | None,
) -> Any:  # fmt: skip
    """Measure how robust MODELS are, compare them with the first, and warn where gradients are masked."""
    loaded = [load_for(name) for name in dict.fromkeys(models)]
    _require_one_data_set(loaded)
    chosen = _chosen(loaded[0][1], preset_name, names, without, settings, slow_images)
    curve_images = n_images if curve else CHECKED_IMAGES
    studies = []
    for classifier, data in loaded:
        classifier.module.to(device)
        with progress_bar(f"evaluate {classifier.name}") as report:
            study = robustness_study(
                classifier, data, chosen, n_images=n_images, curve_images=curve_images, seed=seed,
                folder=attack_folder(), progress=report,
            )  # fmt: skip
        studies.append(study)
    comparison = compare_tables([study.table for study in studies]) if len(studies) > 1 else None
    if output is not None:
        _save(output, studies, comparison)
    return _shown(studies, comparison, curve)


def _require_one_data_set(loaded: Sequence[tuple[Classifier, Dataset]]) -> None:
    (first, data), *others = loaded
    for classifier, other in others:
        if other.key != data.key:
            raise InvalidInputError(
                f"models: expected all for one data set; {first.name} is for {data.name}, {classifier.name} for "
                f"{other.name}. Evaluate them one by one."
            )


def _chosen(
    data: Dataset, preset_name: str | None, names: tuple[str, ...], without: tuple[str, ...],
    settings: tuple[str, ...], slow: int | None,
) -> Preset:  # fmt: skip
    """The preset, with the attacks and the limit that were asked for in place of its own."""
    chosen = preset_for(data) if preset_name is None else preset(preset_name)
    if names:
        if preset_name is not None:
            raise InvalidInputError("--attack: expected either attacks or a --preset; got both. Leave one out.")
        if without:
            raise InvalidInputError("--without: expected a preset, which the attack is left out of; got --attack.")
        if settings and len(set(names)) > 1:
            raise InvalidInputError("--set: expected one --attack, whose settings these are; got several.")
        given = [plan_of(name, settings_of(settings)) for name in dict.fromkeys(names)]
        plans = tuple(replace(plan, images=slow if plan.family in SLOW else None) for plan in given)
        return replace(chosen, plans=plans, left_out=())
    if settings:
        raise InvalidInputError("--set: expected an --attack, whose setting this is; got none.")
    chosen = _left_out(chosen, without)
    return chosen if slow is None else replace(chosen, plans=limited(chosen.plans, slow))


def _left_out(chosen: Preset, without: tuple[str, ...]) -> Preset:
    """The preset without some attacks, which the table names."""
    known = {plan.attack for plan in chosen.plans}
    for name in without:
        if name not in known:
            raise InvalidInputError(
                f"--without: expected an attack of the preset {chosen.name}, one of {', '.join(sorted(known))}; "
                f"got {name}."
            )
    gone = [plan for plan in chosen.plans if plan.attack in without]
    kept = tuple(plan for plan in chosen.plans if plan.attack not in without)
    if not kept:
        raise InvalidInputError("--without: expected an attack to be left; got all of the preset.")
    return replace(chosen, plans=kept, left_out=(*chosen.left_out, *(f"{plan.label}: as asked." for plan in gone)))


def _save(file: Path, studies: Sequence[RobustnessStudy], comparison: RobustnessComparison | None) -> None:
    values = {
        "studies": [study.report() for study in studies],
        "comparison": None if comparison is None else comparison.report(),
    }
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _shown(studies: Sequence[RobustnessStudy], comparison: RobustnessComparison | None, curve: bool) -> dict[str, Any]:
    """The table of each model one below the other, the differences, and what puts numbers in doubt."""
    tables = [study.table for study in studies]
    shown: dict[str, Any] = {
        "images": tables[0].n_images, "seed": tables[0].seed,
        "attacks": [row for table in tables for row in table.summary()],
    }  # fmt: skip
    if comparison is not None:
        shown["comparison"] = comparison.summary()
    if curve:
        shown["curve"] = [row for study in studies for row in study.curve.summary()]
    shown["masking"] = [
        {"model": table.model, "check": c.label, "verdict": c.verdict, "finding": c.sentence}
        for table in tables
        for c in table.checks
    ]
    shown["warnings"] = [
        {"model": table.model, "warning": c.sentence, "in doubt": list(c.concerned)}
        for table in tables
        for c in table.checks
        if c.verdict == "warning"
    ]
    shown["left out"] = list(tables[0].left_out)
    return shown
