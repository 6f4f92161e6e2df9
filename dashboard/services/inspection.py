"""What happens to one image: its attack, its probabilities and its paths, each computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dashboard.selection import Selection
from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.computations import Computations
from dashboard.services.uploads import Uploads
from engine.attacks.base import AttackResult
from engine.datasets.decode import prepare_image
from engine.errors import InvalidInputError
from engine.paths.class_paths import ClassPaths
from engine.paths.path import Path
from engine.progress import Progress

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One image as a classifier sees it.

    Attributes:
        pixels: (C, H, W) in [0, 1].
        label: its true class, or None for an upload.
        name: what a person reads.
        key: hash of the pixels.
        probabilities: (K,) the classifier's answer.
    """

    pixels: Pixels
    label: int | None
    name: str
    key: str
    probabilities: npt.NDArray[np.float64]

    @property
    def ranking(self) -> npt.NDArray[np.int64]:
        """The classes, most likely first."""
        return np.argsort(-self.probabilities, kind="stable")


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """An image and its attacked copy.

    Attributes:
        clean, adversarial: the two images.
        result: what the attack did (one image).
        class_names: (K,) names.
        true_class: the class the attack leads away from: the label, or the model's own answer for an upload.
    """

    clean: Subject
    adversarial: Subject
    result: AttackResult
    class_names: tuple[str, ...]
    true_class: int


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """Image-class similarity per layer, at one rank.

    Attributes:
        clean, adversarial: by layer, in [0, 1].
        reference: the pinned image's, or None.
    """

    clean: Mapping[str, float]
    adversarial: Mapping[str, float]
    reference: Mapping[str, float] | None


class Inspections:
    """Computes and keeps what the Inspect page shows.

    Each method raises :class:`~dashboard.services.computations.Pending` while its result is not there yet.
    """

    def __init__(self, classifiers: Classifiers, uploads: Uploads, computations: Computations) -> None:
        """Uses the given classifiers and uploads."""
        self._classifiers = classifiers
        self._uploads = uploads
        self._computations = computations

    def subject(self, model: str, image: str) -> Subject:
        """A test image or an upload, as the classifier sees it.

        Raises:
            InvalidInputError: if there is no such image.
        """
        loaded = self._classifiers.get(model)
        loaded.classifier.require_sound()
        key = ("subject", loaded.classifier.key, loaded.dataset.key, image)
        return self._computations.get(key, lambda _: self._load_subject(loaded, image))

    def inspect(self, selection: Selection) -> Inspection:
        """The attack of a selection on its image.

        Raises:
            EngineError: if the attack cannot run with these settings.
        """
        loaded = self._classifiers.get(selection.model)
        clean = self.subject(selection.model, selection.image)
        chosen = (selection.attack, selection.epsilon, selection.settings, selection.seed, selection.target)
        key = ("attack", loaded.classifier.key, clean.key, clean.label, chosen)
        return self._computations.get(key, lambda progress: self._attack(loaded, clean, selection, progress))

    def path(self, selection: Selection, subject: Subject, rank: int) -> Path:
        """The effective path of an image from its rank-th most likely class."""
        loaded = self._classifiers.get(selection.model)
        key = ("path", loaded.classifier.key, subject.key, selection.theta, rank)
        return self._computations.get(key, lambda _: self._extract(loaded, subject, selection.theta, rank))

    def similarities(self, selection: Selection, class_paths: ClassPaths, rank: int) -> Similarities:
        """Per layer, how much of each image's path lies on the class path of the class it starts from."""
        view = self.inspect(selection)

        def similarity(subject: Subject) -> Mapping[str, float]:
            expected = class_paths.paths[int(subject.ranking[rank - 1])]
            return self.path(selection, subject, rank).overlap_per_layer(expected)

        pinned = self.subject(selection.model, selection.pin) if selection.pin else None
        return Similarities(
            similarity(view.clean), similarity(view.adversarial), similarity(pinned) if pinned else None
        )

    def _load_subject(self, loaded: LoadedClassifier, image: str) -> Subject:
        source, _, name = image.partition(":")
        if source == "upload":
            pixels = prepare_image(self._uploads.load(image), loaded.classifier.image_shape).numpy()
            return self._seen(loaded, pixels, None, "your image")
        index = int(name)
        pixels = loaded.dataset.test.images([index])[0].numpy()
        return self._seen(loaded, pixels, int(loaded.dataset.test.labels[index]), f"test image {index}")

    def _seen(self, loaded: LoadedClassifier, pixels: Pixels, label: int | None, name: str) -> Subject:
        pixels = np.ascontiguousarray(pixels, dtype=np.float32)
        with torch.no_grad():
            logits = loaded.classifier.module(torch.from_numpy(pixels)[None])[0].double()
        if not torch.isfinite(logits).all():
            raise InvalidInputError(f"The model answers {name} with NaN or infinity; its weights are damaged.")
        digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        return Subject(pixels, label, name, digest, torch.softmax(logits, 0).numpy())

    def _attack(self, loaded: LoadedClassifier, clean: Subject, selection: Selection, progress: Progress) -> Inspection:
        true_class = int(clean.ranking[0]) if clean.label is None else clean.label
        if selection.target == true_class:
            name = loaded.classifier.classes[true_class]
            raise InvalidInputError(f"target: the image shows {name} already; choose another class to aim at.")
        settings = dict(selection.settings)
        if selection.epsilon is not None:
            settings["epsilon"] = selection.epsilon
        attack = self._classifiers.attacks[selection.attack].create(**settings)
        targets = None if selection.target is None else torch.tensor([selection.target])
        result = attack(
            loaded.classifier.module,
            torch.from_numpy(clean.pixels)[None],
            torch.tensor([true_class]),
            targets=targets,
            seed=selection.seed,
            progress=progress,
        )
        adversarial = self._seen(loaded, result.adversarial[0], clean.label, f"attacked {clean.name}")
        return Inspection(clean, adversarial, result, loaded.classifier.classes, true_class)

    def _extract(self, loaded: LoadedClassifier, subject: Subject, theta: float, rank: int) -> Path:
        self._classifiers.wait_for_kernels()
        return loaded.extractor(theta).extract(torch.from_numpy(subject.pixels)[None], rank=rank)[0]
