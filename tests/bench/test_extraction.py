"""The parts of the table of ``python -m engine bench`` one by one, and the slow implementation on AlexNet beside them.

``python -m pytest tests/bench/test_extraction.py -m slow -n0`` prints times with their spread, in one table.
"""

import pytest

from engine import EffectivePath
from engine.benchmark.extraction import forward, random_images, random_network
from engine.benchmark.timing import threads
from engine.detection.cdrp import gate_features
from tests.paths.reference import ReferencePath, assert_same

NETWORKS = ("alexnet", "resnet18", "resnet50", "vgg16")
ROUNDS = 3


@pytest.fixture(params=NETWORKS)
def network(request):
    with threads(2):
        yield random_network(request.param), random_images(request.param)


def measure(benchmark, work):
    return benchmark.pedantic(work, rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.slow
@pytest.mark.parametrize("last_layers", [None, 3], ids=["full", "last 3 layers"])
def test_a_path(benchmark, network, last_layers):
    model, image = network
    extractor = EffectivePath(model, last_layers=last_layers)
    path = measure(benchmark, lambda: extractor.extract(image))[0]
    assert all(len(path.synapses[layer]) for layer in path.layers)


@pytest.mark.slow
def test_a_forward_pass(benchmark, network):
    measure(benchmark, lambda: forward(*network))


@pytest.mark.slow
def test_critical_data_routing_paths_of_alexnet(benchmark):
    model, image = random_network("alexnet"), random_images("alexnet")
    traced = EffectivePath(model).network((3, 224, 224))
    with threads(2):
        gates = measure(benchmark, lambda: gate_features(traced, image))
    assert gates.shape == (1, 1152)


@pytest.mark.slow
def test_the_slow_implementation_on_alexnet(benchmark):
    model, image = random_network("alexnet"), random_images("alexnet")
    slow = benchmark.pedantic(lambda: ReferencePath(model, image[0], theta=0.5), rounds=1)
    assert_same(EffectivePath(model).extract(image)[0], slow)
