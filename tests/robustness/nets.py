"""Classifiers and data sets small enough to know every answer beforehand."""

import numpy as np
import torch
from torch import nn

from engine.datasets.dataset import ArrayImages, Dataset
from engine.network.classifiers import Classifier
from engine.robustness.plans import CLEAN, AttackPlan
from engine.robustness.table import AttackRow, RobustnessTable
from tests.attacks.nets import linear

#: Logits (0, w·x + b): class 1 where x0 − x1 + 2·x2 > 1. Pixels are whole 255ths, as in every data set.
WEIGHTS, BIAS = (1.0, -1.0, 2.0), -1.0


def two_classes() -> nn.Module:
    return linear([[0.0, 0.0, 0.0], list(WEIGHTS)], [0.0, BIAS])


def classifier_of(module: nn.Module, *, classes=2, shape=(1, 1, 3), name="tiny", **changes) -> Classifier:
    settings = {
        "name": name, "label": name.title(), "architecture": "tests:make", "dataset": "tiny",
        "classes": tuple(str(each) for each in range(classes)), "image_shape": shape, "module": module, "key": name,
        "card": {}, **changes,
    }  # fmt: skip
    return Classifier(**settings)


def data_of(pixels: np.ndarray, labels, *, classes=2, name="tiny") -> Dataset:
    """A data set whose two splits hold these (N, C, H, W) 8-bit pixels."""
    images = ArrayImages(pixels.astype(np.uint8), np.asarray(labels, dtype=np.int64))
    names = tuple(str(each) for each in range(classes))
    return Dataset(name, name, names, pixels.shape[1:], images, images, f"key of {name}")


def line_data(n=60, seed=0) -> Dataset:
    """Images of three pixels, labelled as the linear model of two classes answers, apart from every tenth."""
    pixels = np.random.default_rng(seed).integers(90, 166, (n, 1, 1, 3))
    labels = (values_of(pixels) > 0).astype(np.int64)
    labels[::10] = 1 - labels[::10]
    return data_of(pixels, labels)


def values_of(pixels: np.ndarray) -> np.ndarray:
    """w·x + b (N,) of 8-bit pixels."""
    return pixels.reshape(len(pixels), -1) / 255 @ np.array(WEIGHTS) + BIAS


class Changed(nn.Module):
    """A model whose input or output is changed, so that its gradients mislead."""

    def __init__(self, inner: nn.Module, *, scale=1.0, levels=0) -> None:
        super().__init__()
        self.inner, self.scale, self.levels = inner, scale, levels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.levels:
            x = (x * self.levels).round() / self.levels
        return self.scale * self.inner(x)


def row(label, correct, *, attack="pgd_linf", settings=None, family="white-box", images=None) -> AttackRow:
    nan = float("nan")
    plan = AttackPlan(label, attack, {"epsilon": 0.1} if settings is None else settings, family, images)
    return AttackRow(plan, np.asarray(correct, dtype=np.bool_), nan, nan, nan, nan)


def clean_row(correct) -> AttackRow:
    nan = float("nan")
    return AttackRow(CLEAN, np.asarray(correct, dtype=np.bool_), nan, nan, nan, nan)


def table(rows, *, model="tiny", **changes) -> RobustnessTable:
    settings = {
        "model": model, "label": model, "model_key": model, "dataset": "tiny", "images_key": "images",
        "n_images": rows[0].n, "seed": 0, "rows": tuple(rows), **changes,
    }  # fmt: skip
    return RobustnessTable(**settings)


def first(count: int, total: int = 100) -> np.ndarray:
    """Right on the first ``count`` of ``total`` images."""
    return np.arange(total) < count
