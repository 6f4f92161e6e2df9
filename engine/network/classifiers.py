"""Trained classifiers: an architecture, its weights, and the card that says how they were made."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.errors import CheckpointError, InvalidInputError, UnknownNameError
from engine.locations import data_directory
from engine.network.catalogue import build_model, models
from engine.network.checkpoint import file_sha256, load_checkpoint, non_finite_tensors
from engine.registry import Entry, Registry

SHIPPED = Path(__file__).resolve().parents[2] / "data"
CARD_TYPES: dict[str, type] = {"label": str, "architecture": str, "dataset": str, "classes": list, "image_shape": list}


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A model that is ready to be analysed.

    Attributes:
        name: identifier ("lenet5-mnist").
        label: what a person reads ("LeNet-5 · MNIST").
        architecture: name in the model catalogue, or the "package.module:factory" it came from.
        dataset: name of the data set it was trained on.
        classes: class names, one a logit.
        image_shape: (C, H, W) it takes.
        module: in eval mode, normalisation inside; maps (N, C, H, W) images in [0, 1] to (N, classes) logits.
        key: hash of the weights and the architecture, hexadecimal.
        card: recipe, seed, accuracy, sha256 and what else is known of its making.
        warning: why its results are not to be trusted ("" if nothing is wrong); show it before anything else and
            compute no metric while it stands.
    """

    name: str
    label: str
    architecture: str
    dataset: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    module: nn.Module
    key: str
    card: Mapping[str, Any]
    warning: str = ""

    def require_sound(self) -> None:
        """Raises InvalidInputError with the warning, if there is one; call it before computing anything."""
        if self.warning:
            raise InvalidInputError(f"{self.name}: {self.warning}")


def available_classifiers(extra_directory: Path | None = None) -> Registry[Classifier]:
    """The classifiers that can be loaded: the shipped ones, then those in ``extra_directory``.

    Each is a pair NAME.safetensors and NAME.json. Cards alone are read here; weights are read by ``Entry.create()``.
    Weights without a card are left out: nothing says what they are. A card that cannot be read, or whose name a
    shipped classifier has, stays in the list as damaged, with the fact ``problem``; only making it raises.

    Args:
        extra_directory: the user's models; ``models`` in the user's data directory if None. It may be absent.
    """
    registry: Registry[Classifier] = Registry("classifier")
    for directory in (SHIPPED, own_models(extra_directory)):
        for card_path in sorted(directory.glob("*.json"), key=lambda path: path.stem):  # a model before its children
            if card_path.with_suffix(".safetensors").is_file():
                registry.add(_entry(card_path, registry))
    return registry


def _entry(card_path: Path, registry: Registry[Classifier]) -> Entry[Classifier]:
    name, weights = card_path.stem, card_path.with_suffix(".safetensors")
    try:
        if name in registry:
            raise CheckpointError(f"{weights}: there is a shipped classifier of that name; rename both its files.")
        card = read_card(card_path)
    except CheckpointError as error:
        while name in registry:
            name += "-2"
        return Entry(name, f"{card_path.stem} (damaged)", partial(_refuse, error), facts=_facts_of_damaged(error))
    facts = MappingProxyType({**card, "image_shape": tuple(card["image_shape"])})
    return Entry(name, card["label"], partial(_load, name, weights), facts=facts)


def _facts_of_damaged(error: CheckpointError) -> Mapping[str, Any]:
    return MappingProxyType({"dataset": "", "image_shape": (), "problem": str(error)})


def _refuse(error: CheckpointError) -> Classifier:
    raise CheckpointError(str(error))


def load_classifier(name: str, extra_directory: Path | None = None) -> Classifier:
    """Loads a classifier of :func:`available_classifiers`.

    Raises:
        UnknownNameError: for a name that is not available; for an architecture's, says how a classifier is made of it.
        CheckpointError: if its files are damaged or do not belong together.
    """
    available = available_classifiers(extra_directory)
    if name in models and name not in available:
        usual = models[name].facts["datasets"][0]
        how = f"add {name}" if usual == "imagenet" else f"train {name} --dataset {usual}"
        raise UnknownNameError(
            f"{name} is an architecture without weights; make a classifier of it with: python -m engine {how}."
        )
    return available[name].create()


def remove_classifier(name: str, directory: Path | None = None) -> None:
    """Deletes a classifier of the user's own: its card first, so that no half of it is ever listed.

    Args:
        name: as in :func:`available_classifiers`.
        directory: the user's models; ``models`` in the user's data directory if None.

    Raises:
        UnknownNameError: for a name that is not available.
        InvalidInputError: for a shipped classifier.
        CheckpointError: if the files cannot be deleted.
    """
    available_classifiers(directory)[name]
    card = own_models(directory) / f"{name}.json"
    if (SHIPPED / card.name).is_file() or not card.is_file():
        raise InvalidInputError(f"{name}: expected a model of your own, in {card.parent}; it is not there.")
    try:
        card.unlink()
        card.with_suffix(".safetensors").unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"{card}: cannot be deleted ({error}); delete it by hand.") from error


def own_models(directory: Path | None = None) -> Path:
    """The folder of the user's models: the given one, or ``models`` in the user's data directory."""
    return data_directory() / "models" if directory is None else directory


def load_custom(
    spec: str,
    checkpoint: Path | None = None,
    *,
    dataset: str,
    classes: tuple[str, ...],
    image_shape: tuple[int, int, int],
    label: str | None = None,
) -> Classifier:
    """Loads a user's own model: imports ``package.module:factory``, calls it, and loads the checkpoint if there is one.

    This runs the user's code; call it for command lines and notebooks only, never for what a browser sent.

    Args:
        spec: "package.module:factory"; the factory takes no arguments and returns a module that maps images in [0, 1]
            to logits.
        checkpoint: .safetensors, .pt or .pth file of its state dict.
        dataset: name of the data set it is for.
        classes: class names of that data set.
        image_shape: (C, H, W) it takes.
        label: what a person reads; the names of the factory and the data set if None.

    Raises:
        InvalidInputError: for a spec that cannot be imported, a factory that fails or gives no module, or logits of
            another number than the classes.
        CheckpointError: for a checkpoint that cannot be read or does not fit.
    """
    module = _call_factory(spec)
    card: dict[str, Any] = {"architecture": spec, "dataset": dataset}
    if checkpoint is not None:
        card["sha256"] = load_checkpoint(module, checkpoint).sha256
    module.eval()
    _check_logits(module, spec, len(classes), image_shape)
    name = spec.rpartition(":")[2]
    return Classifier(
        name=name,
        label=label or f"{name} · {dataset}",
        architecture=spec,
        dataset=dataset,
        classes=classes,
        image_shape=image_shape,
        module=module,
        key=classifier_key(module, spec),
        card=MappingProxyType(card),
        warning=finiteness_warning(module),
    )


def read_card(path: Path) -> dict[str, Any]:
    """The card in a JSON file.

    Raises:
        CheckpointError: if it is no JSON object or lacks what is needed to load the model; names the file.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: the model's card cannot be read ({error}); take it away or mend it.") from error
    for name, kind in CARD_TYPES.items():
        if not isinstance(card, dict) or not isinstance(card.get(name), kind):
            raise CheckpointError(f"{path}: expected a model's card with {name!r} ({kind.__name__}); it has none.")
    shape, classes = card["image_shape"], card["classes"]
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape) or len(classes) < 2:
        raise CheckpointError(f"{path}: expected an image_shape of three whole numbers and two classes or more.")
    return dict(card)


def classifier_key(module: nn.Module, architecture: str) -> str:
    """A hash of the architecture's name, the modules' settings and all weights; 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{architecture}\n{module!r}\n".encode())
    for name, value in module.state_dict().items():
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def finiteness_warning(module: nn.Module) -> str:
    """A sentence for people if weights are NaN or infinite, else ""."""
    bad = non_finite_tensors(module)
    if not bad:
        return ""
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return (
        f"The weights of this model hold NaN or infinite values ({bad[0]}{more}). Nothing computed from it has a "
        "meaning; load another checkpoint."
    )


def _load(name: str, weights: Path) -> Classifier:
    card = read_card(weights.with_suffix(".json"))
    if card.get("sha256") != file_sha256(weights):
        raise CheckpointError(
            f"{weights}: the file does not match the sha256 in its card; it was damaged or replaced. "
            "Train or copy it again."
        )
    architecture, shape = card["architecture"], tuple(card["image_shape"])
    classes = tuple(str(item) for item in card["classes"])
    try:
        with torch.random.fork_rng(devices=[]):  # first weights are thrown away; the caller's random state is not
            module = build_model(architecture, len(classes), shape)
    except UnknownNameError as error:
        raise CheckpointError(f"{weights}: made for the unknown architecture {str(architecture)[:60]!r}.") from error
    load_checkpoint(module, weights)
    module.eval()
    return Classifier(
        name=name,
        label=card["label"],
        architecture=architecture,
        dataset=card["dataset"],
        classes=classes,
        image_shape=shape,
        module=module,
        key=classifier_key(module, architecture),
        card=MappingProxyType(card),
        warning=finiteness_warning(module),
    )


def _call_factory(spec: str) -> nn.Module:
    module_name, _, factory_name = spec.partition(":")
    if not module_name or not factory_name:
        raise InvalidInputError(f"expected a model as package.module:factory; got {spec[:100]!r}.")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
        module = factory()
    except Exception as error:  # it is the user's code: it may raise anything
        raise InvalidInputError(f"{spec}: could not be made ({type(error).__name__}: {error}).") from error
    if not isinstance(module, nn.Module):
        raise InvalidInputError(f"{spec}: expected a torch.nn.Module from the factory; got {type(module).__name__}.")
    return module


def _check_logits(module: nn.Module, spec: str, classes: int, image_shape: tuple[int, int, int]) -> None:
    images = torch.from_numpy(np.full((2, *image_shape), 0.5, dtype=np.float32))
    try:
        with torch.no_grad():
            logits = module(images)
    except Exception as error:  # as above
        raise InvalidInputError(f"{spec}: cannot take images of shape {image_shape} ({error}).") from error
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise InvalidInputError(f"{spec}: expected logits of shape (2, {classes}) for two images; got {shape}.")
