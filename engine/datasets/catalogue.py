"""The data sets a user can choose by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from engine.datasets.dataset import Dataset
from engine.datasets.digits import digits_dataset
from engine.datasets.folder import folder_dataset
from engine.datasets.imagenet import IMAGE_SHAPE, imagenet_dataset
from engine.datasets.locations import dataset_directory
from engine.datasets.torchvision_sets import cifar10_dataset, mnist_dataset, svhn_dataset
from engine.errors import DatasetError
from engine.progress import Progress, silent
from engine.registry import Entry, Registry

Reader = Callable[[Path, bool, Progress], Dataset]


def load_dataset(
    name: str,
    *,
    root: Path | None = None,
    download: bool = False,
    progress: Progress = silent,
    image_shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """Reads a data set of the catalogue.

    Args:
        name: of the catalogue.
        root: folder of the data set files; ``DETOUR_DATA`` or the user's data directory if None.
        download: whether files that are missing may be fetched from the network.
        progress: is told how far it is.
        image_shape: (C, H, W) for ImageNet, whose images are of many sizes; the others have their own.

    Raises:
        UnknownNameError: for a name not in the catalogue.
        DatasetError: if files are missing or damaged; says where they were expected and how to get them.
    """
    datasets[name]
    if name == "digits":
        return digits_dataset()
    root = dataset_directory() if root is None else root
    if download:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(f"cannot create the data set folder {root} ({error}); choose another one.") from error
    if name == "imagenet":
        return imagenet_dataset(root, download, progress, image_shape or IMAGE_SHAPE)
    return _READERS[name](root, download, progress)


class MadeForData(Protocol):
    """Anything that knows which data set it was made for: a classifier."""

    @property
    def dataset(self) -> str:
        """Name of the data set."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    @property
    def card(self) -> Mapping[str, Any]:
        """What is known of its making; ``dataset_folder`` is the folder of images it was trained on, if it was one."""


def dataset_of(classifier: MadeForData, *, root: Path | None = None) -> Dataset:
    """The data set a classifier was made for.

    Raises:
        DatasetError: if it is not here, or what is here under that name has other classes or images.
    """
    folder = classifier.card.get("dataset_folder")
    if folder:
        data = folder_dataset(Path(folder), name=classifier.dataset, image_shape=classifier.image_shape)
    else:
        data = load_dataset(classifier.dataset, root=root, image_shape=classifier.image_shape)
    if (data.classes, data.image_shape) != (classifier.classes, classifier.image_shape):
        raise DatasetError(
            f"{folder or classifier.dataset}: expected the data set the model was trained on, with images of "
            f"{classifier.image_shape} and the classes {', '.join(classifier.classes[:5])}…; got images of "
            f"{data.image_shape} and {', '.join(data.classes[:5])}…. Put the folder of images back, or train again."
        )
    return data


_READERS: dict[str, Reader] = {"mnist": mnist_dataset, "cifar10": cifar10_dataset, "svhn": svhn_dataset}

datasets: Registry[Dataset] = Registry("data set")
for _name, _label, _shape, _paper in (
    ("digits", "Digits (8×8)", (1, 28, 28), "Alpaydin and Kaynak, Optical recognition of handwritten digits, 1998"),
    ("mnist", "MNIST", (1, 28, 28), "LeCun et al., Gradient-based learning applied to document recognition, 1998"),
    ("cifar10", "CIFAR-10", (3, 32, 32), "Krizhevsky, Learning multiple layers of features from tiny images, 2009"),
    ("svhn", "SVHN", (3, 32, 32), "Netzer et al., Reading digits in natural images, 2011"),
    (
        "imagenet",
        "ImageNet",
        IMAGE_SHAPE,
        "Russakovsky et al., ImageNet large scale visual recognition, 2015",
    ),
):
    datasets.add(
        Entry(
            name=_name,
            label=_label,
            factory=partial(load_dataset, _name),
            paper=_paper,
            facts={"image_shape": _shape, "needs_files": _name != "digits"},
        )
    )
