"""Images and class paths that the tests of shards and of clusters compare."""

import numpy as np
import torch

from tests.paths.nets import SHAPE

NAMES = tuple("abcde")
N_IMAGES = 300
SHARD = 10


class Images:
    """8-bit images, as data sets hold them."""

    def __init__(self, pixels, labels):
        self._pixels, self.labels, self.read = pixels, labels, 0

    def __len__(self):
        return len(self._pixels)

    def images(self, indices):
        self.read += len(indices)
        return self._pixels[torch.as_tensor(indices)].float().div_(255.0)


class Spoilt(Images):
    """The image at place 200 is not one."""

    def images(self, indices):
        images = super().images(indices)
        images[np.asarray(indices) == 200] = 2.0
        return images


def make_labelled(model):
    """Pixels, and labels of which every seventh is wrong."""
    pixels = torch.randint(0, 256, (N_IMAGES, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    predictions = model(pixels.float().div_(255.0)).argmax(1).numpy()
    return pixels, np.where(np.arange(N_IMAGES) % 7 == 0, (predictions + 1) % 5, predictions)


def assert_same(found, expected):
    assert found.paths == expected.paths
    assert found.counts.tolist() == expected.counts.tolist()
