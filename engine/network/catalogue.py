"""The architectures a user can choose by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol

from torch import nn

from engine.errors import InvalidInputError, UnknownNameError
from engine.network.architectures.alexnet32 import AlexNet32
from engine.network.architectures.lenet5 import LeNet5
from engine.network.architectures.vgg16_narrow import VGG16Narrow
from engine.network.architectures.vgg32 import VGG16Small
from engine.network.normalize import Normalize
from engine.registry import Entry, Registry

Shape = tuple[int, int, int]
Make = Callable[[int, Shape, Normalize], nn.Module]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The published Inception weights expect images in [-1, 1].
CENTRED = (0.5, 0.5, 0.5)

#: Before the names of timm's architectures that are not in the catalogue.
TIMM = "timm/"

models: Registry[nn.Module] = Registry("model")


class HasImageShape(Protocol):
    """Anything with an image shape: a data set, a classifier."""

    @property
    def image_shape(self) -> Shape:
        """(C, H, W)."""
        ...


def architecture(name: str) -> Entry[nn.Module]:
    """The entry of that name: of the catalogue, or one of timm's others as ``timm/NAME``.

    Raises:
        UnknownNameError: for a name that neither has.
    """
    if not name.startswith(TIMM) or name in models:
        return models[name]
    plain = name.removeprefix(TIMM)
    try:
        published = import_module("timm").get_pretrained_cfg(plain)
    except RuntimeError as error:  # the architecture is known, the weights' tag after the dot is not
        raise UnknownNameError(f"timm has no {plain[:60]!r}: {error}") from error
    if published is None:
        raise UnknownNameError(f"timm has no architecture {plain[:60]!r}, or knows nothing of its images.")
    shape, make = tuple(published.input_size), _on_timm(plain)
    return Entry(
        name=name,
        label=f"{plain} (timm)",
        factory=_factory(make, published.num_classes or 1000, shape, (published.mean, published.std)),
        facts={"image_shape": shape, "classes": published.num_classes or 1000, "datasets": ("imagenet",)},
    )


def build_model(
    name: str,
    classes: int | None = None,
    image_shape: Shape | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> nn.Module:
    """Makes an architecture with random weights (from torch's global random state), in train mode.

    Args:
        name: of the catalogue.
        classes: number of logits; the entry's usual number if None.
        image_shape: (C, H, W); the entry's usual shape if None.
        mean, std: normalisation per channel; the entry's usual constants if None.

    Raises:
        UnknownNameError: for a name not in the catalogue.
        InvalidInputError: if the architecture cannot take such images, or there are fewer than two classes.
    """
    entry = architecture(name)
    facts = entry.facts
    return entry.factory(
        classes=facts["classes"] if classes is None else classes,
        image_shape=facts["image_shape"] if image_shape is None else image_shape,
        mean=mean,
        std=std,
    )


def _factory(
    make: Make, default_classes: int, default_shape: Shape, usual: tuple[Sequence[float], Sequence[float]]
) -> Any:
    def create(
        classes: int = default_classes,
        image_shape: Shape = default_shape,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> nn.Module:
        if classes < 2:
            raise InvalidInputError(f"a classifier needs at least 2 classes; got {classes}.")
        channels = image_shape[0]
        fits = len(usual[0]) == channels
        normalize = Normalize(
            mean if mean is not None else usual[0] if fits else (0.5,) * channels,
            std if std is not None else usual[1] if fits else (0.5,) * channels,
        )
        if normalize.mean.numel() != channels:
            raise InvalidInputError(f"expected {channels} means and deviations; got {normalize.mean.numel()}.")
        return make(classes, image_shape, normalize)

    return create


def _on_torchvision(module: str, name: str) -> Make:
    """An architecture built on torchvision's, which takes more than a second to import and is loaded when asked for."""

    def make(classes: int, image_shape: Shape, normalize: Normalize) -> nn.Module:
        architecture = getattr(import_module(f"engine.network.architectures.{module}"), name)
        return architecture(classes, image_shape, normalize)  # type: ignore[no-any-return]

    return make


def _on_timm(name: str) -> Make:
    """An architecture of timm's, which is loaded when asked for."""

    def make(classes: int, image_shape: Shape, normalize: Normalize) -> nn.Module:
        module = import_module("engine.network.architectures.timm_models")
        return module.TimmClassifier(name, classes, image_shape, normalize)  # type: ignore[no-any-return]

    return make


def _compatible(channels: int | None, smallest: int) -> Callable[[HasImageShape], bool]:
    def check(data: HasImageShape) -> bool:
        shape = data.image_shape
        return (channels is None or shape[0] == channels) and min(shape[1:]) >= smallest

    return check


def _add(
    name: str,
    label: str,
    make: Make,
    image_shape: Shape,
    data_sets: tuple[str, ...],
    paper: str,
    *,
    smallest: int,
    channels: int | None = None,
    usual: tuple[Sequence[float], Sequence[float]] = (CENTRED, CENTRED),
) -> None:
    classes = 1000 if "imagenet" in data_sets else 10
    models.add(
        Entry(
            name=name,
            label=label,
            factory=_factory(make, classes, image_shape, usual),
            paper=paper,
            is_compatible=_compatible(channels, smallest),
            facts={"image_shape": image_shape, "classes": classes, "datasets": data_sets},
        )
    )


LENET_PAPER = "LeCun et al., Gradient-based learning applied to document recognition, 1998"
ALEXNET_PAPER = "Krizhevsky et al., ImageNet classification with deep convolutional neural networks, 2012"
VGG_PAPER = "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, 2015"
RESNET_PAPER = "He et al., Deep residual learning for image recognition, 2016"
INCEPTION_PAPER = "Szegedy et al., Rethinking the Inception architecture for computer vision, 2016"
INCEPTION4_PAPER = "Szegedy et al., Inception-v4, Inception-ResNet and the impact of residual connections, 2017"
RESNETV2_PAPER = "He et al., Identity mappings in deep residual networks, 2016"
IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)
SMALL_COLOUR = ("cifar10", "svhn")

_add("lenet5", "LeNet-5", LeNet5, (1, 28, 28), ("mnist", "digits"), LENET_PAPER, smallest=12)
_add("alexnet32", "AlexNet (32×32)", AlexNet32, (3, 32, 32), SMALL_COLOUR, ALEXNET_PAPER, smallest=16)
_add("vgg16_32", "VGG-16 (32×32)", VGG16Small, (3, 32, 32), SMALL_COLOUR, VGG_PAPER, smallest=32)
_add("vgg16_narrow", "VGG-16, narrow (32×32)", VGG16Narrow, (3, 32, 32), SMALL_COLOUR, VGG_PAPER, smallest=32)
_add(
    "resnet18_32",
    "ResNet-18 (32×32)",
    _on_torchvision("resnet32", "ResNet18Small"),
    (3, 32, 32),
    SMALL_COLOUR,
    RESNET_PAPER,
    smallest=8,
)
_IMAGENET_MODELS: tuple[tuple[str, str, Make, int, str, int, tuple[Sequence[float], Sequence[float]]], ...] = (
    ("alexnet", "AlexNet", _on_torchvision("imagenet", "NormalizedAlexNet"), 224, ALEXNET_PAPER, 63, IMAGENET),
    ("vgg16", "VGG-16", _on_torchvision("imagenet", "NormalizedVGG16"), 224, VGG_PAPER, 32, IMAGENET),
    ("resnet18", "ResNet-18", _on_torchvision("imagenet", "resnet18"), 224, RESNET_PAPER, 32, IMAGENET),
    ("resnet50", "ResNet-50", _on_torchvision("imagenet", "resnet50"), 224, RESNET_PAPER, 32, IMAGENET),
    (
        "inception_v3", "Inception-v3", _on_torchvision("imagenet", "NormalizedInception"), 299, INCEPTION_PAPER, 75,
        (CENTRED, CENTRED),
    ),
    ("inception_v4", "Inception-v4", _on_timm("inception_v4"), 299, INCEPTION4_PAPER, 75, (CENTRED, CENTRED)),
    ("resnetv2_50", "ResNet-50 v2", _on_timm("resnetv2_50"), 224, RESNETV2_PAPER, 32, (CENTRED, CENTRED)),
)  # fmt: skip
for _name, _label, _make, _side, _paper, _smallest, _usual in _IMAGENET_MODELS:
    _add(
        _name,
        _label,
        _make,
        (3, _side, _side),
        ("imagenet",),
        _paper,
        smallest=_smallest,
        channels=3,
        usual=_usual,
    )
