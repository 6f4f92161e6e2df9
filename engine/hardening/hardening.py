"""Hardening: trains a classifier by one of the methods, reproducible from its seed."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.datasets.dataset import Dataset, ImageSet
from engine.errors import InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.hardening.images import channel_statistics, evaluate_accuracy, fixed_subset
from engine.hardening.loop import Loop, OnEpoch
from engine.hardening.methods.base import HardeningMethod, Job, Objective, Start
from engine.hardening.monitor import HeldOut
from engine.hardening.report import HardeningReport
from engine.hardening.reproducibility import reproducible
from engine.hardening.settings import TrainingSettings, preset_name, training_preset
from engine.hardening.state import RunFolder, run_folder
from engine.hardening.training import finished
from engine.network.catalogue import build_model, models
from engine.network.classifiers import Classifier
from engine.progress import Progress, silent
from engine.version import VERSION


def harden(
    classifier: Classifier,
    data: Dataset,
    method: HardeningMethod,
    *,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    folder: Path | None = None,
    keep_epochs: bool = True,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> tuple[nn.Module, HardeningReport]:
    """Trains a classifier by a hardening method; the classifier itself is left as it is.

    The same seed and number of threads give the same weights bit for bit on one machine's CPU, also when the run was
    stopped in between and resumed; the global random state and thread count are left as they were.

    Args:
        classifier: the parent: its weights are the start, or its architecture alone if the settings say "scratch".
        data: the data set it was made for.
        method: of :data:`engine.hardening.catalogue.hardening_methods`, with its settings.
        settings: of the training; the usual ones of the method and data set if None.
        seed: of every random choice.
        threads: of the CPU.
        device: "cpu" or "cuda".
        folder: where every epoch is kept, and where a stopped run of the same settings goes on; None keeps nothing.
        keep_epochs: whether the weights of all epochs stay there, or those of the last alone.
        progress: may raise Cancelled, which comes through; the last finished epoch stays in the folder.
        on_epoch: is given the learning curves after every epoch.

    Returns:
        the model in eval mode on the CPU, normalisation inside, and the report.

    Raises:
        InvalidInputError: for a setting out of range, a data set that does not fit, or a folder of another run.
        EngineError: if a loss or weight stops being finite, or memory runs out; names the epoch, the batch and the last
            good checkpoint.
    """
    settings = usual_settings(classifier, data, method, device) if settings is None else settings
    about = _about(classifier, data, method, settings, seed=seed, threads=threads, device=torch.device(device).type)
    require_fit(classifier, data, settings)
    with run_folder(folder, about, keep_epochs=keep_epochs) as run, reproducible(seed, threads):
        made = prepared(classifier, data, method, settings, seed=seed, device=device, folder=run)
        curves = made.loop.run(progress, on_epoch)
        finished(made.model, settings)
        test_accuracy = evaluate_accuracy(made.model, data.test)
    progress(1.0, f"Test accuracy {test_accuracy:.2%}")
    further = {"seed": seed, "threads": threads, "device": device, "test_accuracy": test_accuracy, "curves": curves}
    return made.model, _report(classifier, data, method, settings, made.objective, **further)


def usual_settings(
    classifier: Classifier, data: Dataset, method: HardeningMethod, device: str = "cpu", start: Start | None = None
) -> TrainingSettings:
    """The settings of the training that are used when none are given: the preset for the method's usual start.

    Weights are rounded to half precision only where the parent's are: what is frozen stays as it is bit for bit.
    """
    begin: Start = hardening_methods[method.name].facts["start"] if start is None else start
    preset = training_preset(classifier.architecture, data, begin, device=device)
    halved = all(bool((value == value.half().float()).all()) for value in classifier.module.parameters())
    return preset if begin == "scratch" or halved else replace(preset, stored="float32")


def usual_method(name: str, data: Dataset, **settings: object) -> HardeningMethod:
    """A method with its preset for a data set, and some settings in place of the preset's.

    Raises:
        UnknownNameError: for a name not in the catalogue.
        InvalidInputError: for a setting that is unknown, of the wrong type or out of range.
    """
    entry = hardening_methods[name]
    return entry.create(**{**entry.facts["presets"][preset_name(data)], **settings})


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run before its first batch: the model that is trained, which is a new one, its objective, and its loop."""

    model: nn.Module
    objective: Objective
    loop: Loop


def prepared(
    classifier: Classifier,
    data: Dataset,
    method: HardeningMethod,
    settings: TrainingSettings,
    *,
    seed: int,
    device: str,
    folder: RunFolder | None = None,
) -> Prepared:
    """Makes a run ready; arguments as those of :func:`harden`.

    Call it inside :func:`engine.hardening.reproducibility.reproducible`: random weights come from the global state.

    Raises:
        InvalidInputError: for a start, or a model, that the method cannot work with.
    """
    images = fixed_subset(data.train, settings.images)
    model = _start(classifier, data, settings).to(device)
    objective = method.objective(Job(model, images, settings.start, seed, settings.precision == "bfloat16"))
    held_out = _held_out(data.test, settings, seed)
    loop = Loop(model, images, settings, objective, seed=seed, held_out=held_out, folder=folder)
    return Prepared(model, objective, loop)


def require_fit(classifier: Classifier, data: Dataset, settings: TrainingSettings) -> None:
    """Refuses what cannot be hardened.

    Raises:
        InvalidInputError: for a classifier with a warning, another one's data set, or a setting out of range.
    """
    classifier.require_sound()
    settings.require_sound()
    if (data.classes, data.image_shape) != (classifier.classes, classifier.image_shape):
        raise InvalidInputError(
            f"data: expected images of {classifier.image_shape} and {len(classifier.classes)} classes, as "
            f"{classifier.name} takes; got images of {data.image_shape} and {len(data.classes)} classes. "
            "Use the data set the model was made for."
        )


def _start(classifier: Classifier, data: Dataset, settings: TrainingSettings) -> nn.Module:
    if settings.start == "parent":
        return copy.deepcopy(classifier.module)
    if classifier.architecture not in models:
        raise InvalidInputError(
            f"start: expected parent for {classifier.architecture}, which is not in the catalogue of architectures; "
            "got scratch."
        )
    mean, std = channel_statistics(data.train)
    return build_model(classifier.architecture, len(data.classes), data.image_shape, mean=mean, std=std)


def _held_out(images: ImageSet, settings: TrainingSettings, seed: int) -> HeldOut | None:
    count = min(settings.held_out, len(images))
    return HeldOut(images, count, settings.held_out_epsilon, seed) if count else None


def _report(
    classifier: Classifier, data: Dataset, method: HardeningMethod, settings: TrainingSettings, objective: Objective,
    **further: Any,
) -> HardeningReport:  # fmt: skip
    return HardeningReport(
        parent=classifier.name,
        parent_key=classifier.key,
        label=f"{classifier.label} · {hardening_methods[method.name].label}",
        architecture=classifier.architecture,
        dataset=data.name,
        dataset_key=data.key,
        dataset_folder=data.folder,
        classes=data.classes,
        image_shape=data.image_shape,
        method=method.name,
        method_settings=method.settings,
        training=settings,
        frozen=objective.frozen.layers,
        units={name: tuple(units.tolist()) for name, units in objective.units.items()},
        **further,
    )


def _about(
    classifier: Classifier, data: Dataset, method: HardeningMethod, settings: TrainingSettings, **further: Any
) -> dict[str, Any]:
    """What determines a run."""
    return {
        "version": VERSION, "architecture": classifier.architecture, "parent": classifier.name,
        "parent_key": classifier.key, "dataset": data.name, "dataset_key": data.key, "method": method.name,
        "method_settings": method.settings, "training": asdict(settings), **further,
    }  # fmt: skip
