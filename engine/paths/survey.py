"""What the class paths of a data set come to together: found in one pass over them, however many they are."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path as FilePath

import numpy as np

from engine.errors import InvalidInputError
from engine.files import DAMAGED_ARCHIVE, mark_used, write_atomically
from engine.paths.aggregation import ClassPaths, id_space
from engine.paths.bitmaps import Bitmap, BitmapIds, RoaringSet, bitmap_of, is_wide
from engine.paths.similarity_sample import DRAWN, Comparison, EveryPair, SimilaritySample
from engine.progress import Progress, silent, span

log = logging.getLogger(__name__)

#: Pairs of classes times synapses of the network, up to which every pair is counted: ten classes of an ImageNet-size
#: AlexNet, 450 of LeNet-5. Class paths hold a few hundredths of the synapses, so that this takes seconds and a
#: gigabyte at most.
EXACT_PAIRS = 50_000_000_000
#: How the name of its file ends; it lies beside that of the class paths.
SURVEYED = ".survey.npz"
_FORMAT = 1
_READING = 0.9  # share of the work until all classes are read; what is left compares them


@dataclass(frozen=True, slots=True, eq=False)
class ClassSurvey:
    """How large class paths are, alone and together, and how much every two share; arrays are read-only.

    Attributes:
        class_names: (K,) names.
        counts: (K,) int64, images merged.
        layers: (L,) names, in execution order.
        synapses: (K, L) int64, |Sˡ| of each class.
        together: (L,) int64, |∪ Sˡ| over all classes.
        sizes: (L,) int64, all synapses of each layer, padding excluded.
        growth: (K,) float64, density in [0, 1] of the union of the first class, of the first two, and so on.
        similarity: (K, K) float64, J of every two classes, 1 on the diagonal; NaN where a class has no images.
        drawn: how many synapse ids J was estimated from; None if it is exact.
        standard_error: the largest of J off the diagonal; 0 if it is exact.
        theta: of the extraction.
        seed: of the draw.
    """

    class_names: tuple[str, ...]
    counts: np.ndarray
    layers: tuple[str, ...]
    synapses: np.ndarray
    together: np.ndarray
    sizes: np.ndarray
    growth: np.ndarray
    similarity: np.ndarray
    drawn: int | None
    standard_error: float
    theta: float
    seed: int

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            getattr(self, name).flags.writeable = False

    def known(self) -> np.ndarray:
        """The classes that have a path: at least one image of theirs was classified correctly."""
        return np.flatnonzero(self.counts > 0)

    def density(self) -> float:
        """Of the union over all classes, in [0, 1]."""
        return float(self.growth[-1])

    def density_per_layer(self) -> dict[str, float]:
        """The same of each layer."""
        return dict(zip(self.layers, (self.together / self.sizes).tolist(), strict=True))

    def mean_density_per_layer(self) -> dict[str, float]:
        """Density of each layer, the mean over the classes that have a path; NaN if none has."""
        known = self.known()
        mean = (self.synapses[known] / self.sizes).mean(axis=0) if len(known) else np.full(len(self.layers), np.nan)
        return dict(zip(self.layers, mean.tolist(), strict=True))

    def mean_similarity(self) -> float:
        """The mean J of two different classes; NaN where fewer than two have a path."""
        pairs = self.similarity[~np.eye(len(self.counts), dtype=bool)]
        return float(np.nanmean(pairs)) if np.isfinite(pairs).any() else float("nan")

    def save(self, file: str | FilePath) -> None:
        """Writes the survey as a compressed npz file, whole or not at all."""
        about = {name: getattr(self, name) for name in _PLAIN} | {"format": _FORMAT}
        arrays = {name: getattr(self, name) for name in _ARRAYS}

        def write(partial: FilePath) -> None:
            with open(partial, "wb") as stream:
                np.savez_compressed(stream, about=np.array(json.dumps(about)), **arrays)

        write_atomically(FilePath(file), write)

    @staticmethod
    def load(file: str | FilePath) -> ClassSurvey:
        """Reads what :meth:`save` wrote.

        Raises:
            InvalidInputError: if the file is absent, damaged or of another kind.
        """
        try:
            with np.load(file, allow_pickle=False) as archive:
                about = json.loads(str(archive["about"]))
                if about["format"] != _FORMAT:
                    raise ValueError(f"format {about['format']}, expected {_FORMAT}")
                arrays = {name: archive[name] for name in _ARRAYS}
            plain = {name: about[name] for name in _PLAIN}
            plain |= {name: tuple(plain[name]) for name in ("class_names", "layers")}
            _check_shapes(arrays, len(plain["class_names"]), len(plain["layers"]))
        except DAMAGED_ARCHIVE as error:
            raise InvalidInputError(f"{file}: expected a survey of class paths written here; {error}.") from error
        return ClassSurvey(**plain, **arrays)


_ARRAYS = ("counts", "synapses", "together", "sizes", "growth", "similarity")
_PLAIN = tuple(field.name for field in fields(ClassSurvey) if field.name not in _ARRAYS)


def survey(
    class_paths: ClassPaths,
    *,
    exact_pairs: int = EXACT_PAIRS,
    drawn: int = DRAWN,
    seed: int = 0,
    progress: Progress = silent,
) -> ClassSurvey:
    """Goes over all class paths once, class by class; what lies in a file is read once and not kept.

    Sizes, unions and growth are exact. J of every two classes is counted while there are few, as
    :meth:`ClassPaths.similarity` does, and estimated from a random sample of synapse ids where there are many.

    Args:
        class_paths: of at least one class.
        exact_pairs: pairs of classes times synapses of the network, up to which every pair is counted.
        drawn: how many synapse ids to draw at most; all, where the network has no more, and J is exact again. At least
            10,000 draws on the union of two classes, to which the default leads where each has 0.06 % of all synapse
            ids, give a standard error of at most 0.005. What it comes to is in the result.
        seed: of the draw.
        progress: called after every class; may raise Cancelled.

    Raises:
        InvalidInputError: for no class at all, a number of draws out of range, or a damaged file of class paths.
    """
    if not class_paths.paths:
        raise InvalidInputError("class_paths: expected at least one class to survey; got none.")
    first, n_classes = class_paths.paths[0], len(class_paths.paths)
    spaces = {layer: id_space(first.shapes[layer]) for layer in first.layers}
    sizes = np.array([first.shapes[layer].n_synapses for layer in first.layers], np.int64)
    known = np.flatnonzero(class_paths.counts > 0)
    is_exact = len(known) * (len(known) - 1) // 2 * int(sizes.sum()) <= exact_pairs
    comparison: Comparison = EveryPair() if is_exact else SimilaritySample(spaces, drawn, seed)
    unions = [RoaringSet(space) for space in spaces.values()]
    synapses = np.zeros((n_classes, len(spaces)), np.int64)
    growth = np.zeros(n_classes)
    for label, path in enumerate(class_paths.paths):
        bitmaps = [_bitmap(path.synapses, layer, space) for layer, space in spaces.items()]
        synapses[label] = [len(bitmap) for bitmap in bitmaps]
        for union, bitmap in zip(unions, bitmaps, strict=True):
            union.add_bitmap(bitmap)
        growth[label] = sum(map(len, unions)) / int(sizes.sum())
        if class_paths.counts[label]:
            comparison.add(bitmaps)
        progress(_READING * (label + 1) / n_classes, f"{label + 1:,} of {n_classes:,} classes")
    found = comparison.result(synapses[known].sum(axis=1), span(progress, _READING, 1.0))
    similarity = np.full((n_classes, n_classes), np.nan)
    similarity[np.ix_(known, known)] = found.matrix
    return ClassSurvey(
        class_paths.class_names, class_paths.counts.copy(), tuple(spaces), synapses,
        np.array([len(union) for union in unions], np.int64), sizes, growth, similarity, found.drawn,
        found.standard_error, class_paths.theta, seed,
    )  # fmt: skip


def survey_once(class_paths: ClassPaths, *, file: FilePath, progress: Progress = silent) -> ClassSurvey:
    """The survey kept in ``file``, made and kept there if it is not; one that is damaged is made again.

    Args:
        class_paths: of at least one class.
        file: beside that of the class paths, and named by the same content.
        progress: as for :func:`survey`.

    Raises:
        DamagedFileError: if the file of the class paths is damaged.
    """
    if file.exists():
        try:
            kept = ClassSurvey.load(file)
            if kept.class_names != class_paths.class_names or not np.array_equal(kept.counts, class_paths.counts):
                raise InvalidInputError(f"{file}: expected the survey of these class paths; it is of others.")
        except InvalidInputError as error:
            log.warning("surveying class paths again: %s", error)
        else:
            mark_used(file)
            return kept
    found = survey(class_paths, progress=progress)
    try:
        found.save(file)
    except OSError as error:
        log.warning("the survey of class paths is not kept, the next start makes it again: %s", error)
    return found


def _bitmap(ids: Mapping[str, np.ndarray], layer: str, space: int) -> Bitmap:
    return ids.bitmaps[layer] if isinstance(ids, BitmapIds) else bitmap_of(ids[layer], is_wide(space))


def _check_shapes(arrays: Mapping[str, np.ndarray], n_classes: int, n_layers: int) -> None:
    shapes = {
        "counts": (n_classes,), "synapses": (n_classes, n_layers), "together": (n_layers,), "sizes": (n_layers,),
        "growth": (n_classes,), "similarity": (n_classes, n_classes),
    }  # fmt: skip
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape}, expected {shape}")
