"""How long a route takes: ``python -m tests.bench.route [--images 1000]``.

The route of VGG-16 for 32×32 images, random weights and images, on all cores; the limit is two minutes on two cores for
1,000 images. Then, on one thread and a small net, one sweep against the literal formula, which takes the derivative of
every output element by every input element. The ratio of medians is what to quote; single times depend on the
machine's mood.
"""

import argparse
import statistics
import time

import torch

from engine.network.catalogue import build_model
from engine.route.routes import instance_routes, model_route
from tests.route.nets import build, images
from tests.route.reference import literal_route

LIMIT = 120
RUNS = 5
SLOW_IMAGES = 3
FAST_IMAGES = 100
SHARE = 0.2


def seconds(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def route_of_vgg(count):
    torch.manual_seed(0)
    model = build_model("vgg16_32").eval()
    batch, labels = torch.rand(count, 3, 32, 32), torch.randint(0, 10, (count,))
    model_route(model, batch[:2], labels[:2])  # the first call of a convolution prepares it
    took = seconds(lambda: model_route(model, batch, labels))
    print(f"VGG-16 (32×32), random weights, route of {count:,} images on {torch.get_num_threads()} threads")
    print(f"  {took:.1f} s, {took / count * 1000:.1f} ms an image; 1,000 take {took / count * 1000:.0f} s of {LIMIT} s")


def sweep_against_literal():
    torch.set_num_threads(1)
    model, batch = build("plain"), images(FAST_IMAGES)
    labels = torch.arange(FAST_IMAGES) % 3
    slow, fast = [], []
    for _ in range(RUNS):
        slow.append(
            seconds(
                lambda: [
                    literal_route(model, image, int(label), SHARE)
                    for image, label in zip(batch[:SLOW_IMAGES].double(), labels[:SLOW_IMAGES], strict=True)
                ]
            )
            / SLOW_IMAGES
        )
        fast.append(seconds(lambda: instance_routes(model, batch, labels, share=SHARE)) / FAST_IMAGES)
    medians = [statistics.median(times) * 1000 for times in (slow, fast)]
    print(f"A net of three small convolutions, one thread, median of {RUNS} runs")
    print(f"  literal formula   {medians[0]:9.3f} ms an image")
    print(f"  one sweep         {medians[1]:9.3f} ms an image   {medians[0] / medians[1]:7.0f} times faster")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="images of the route of VGG-16")
    route_of_vgg(parser.parse_args().images)
    sweep_against_literal()


if __name__ == "__main__":
    main()
