"""How much faster the compiled extraction is than the slow one: ``python -m tests.bench.extraction``.

In one run, on one thread. Both extract LeNet-5 paths of the same MNIST test images (random images where MNIST is not
here). The ratio of medians is what to quote; single times depend on the machine's mood.
"""

import statistics
import time

import numba
import torch

from engine import EffectivePath
from engine.datasets.catalogue import load_dataset
from engine.errors import DatasetError
from engine.network.classifiers import load_classifier
from tests.paths.reference import ReferencePath

RUNS = 5
SLOW_IMAGES = 3
FAST_IMAGES = 200


def seconds_per_image(work, n_images):
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) / n_images


def main():
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    classifier = load_classifier("lenet5-mnist")
    try:
        images = load_dataset("mnist").test.images(range(FAST_IMAGES))
        source = "MNIST test images"
    except DatasetError:
        images = torch.rand(FAST_IMAGES, *classifier.image_shape, generator=torch.Generator().manual_seed(0))
        source = "random images"
    extractor = EffectivePath(classifier.module)
    extractor.extract(images[:2])  # compiles
    slow, fast, single = [], [], []
    for _ in range(RUNS):
        slow.append(
            seconds_per_image(
                lambda: [ReferencePath(classifier.module, image, theta=0.5) for image in images[:SLOW_IMAGES]],
                SLOW_IMAGES,
            )
        )
        fast.append(seconds_per_image(lambda: extractor.extract(images), FAST_IMAGES))
        single.append(seconds_per_image(lambda: [extractor.extract(image[None]) for image in images[:50]], 50))
    medians = [statistics.median(times) * 1000 for times in (slow, fast, single)]
    print(f"LeNet-5, {source}, theta 0.5, one thread, median of {RUNS} runs")
    print(f"  slow implementation   {medians[0]:9.3f} ms an image")
    print(f"  compiled, in a batch  {medians[1]:9.3f} ms an image   {medians[0] / medians[1]:7.0f} times faster")
    print(f"  compiled, one by one  {medians[2]:9.3f} ms an image   {medians[0] / medians[2]:7.0f} times faster")


if __name__ == "__main__":
    main()
