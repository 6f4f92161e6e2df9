"""The kernels compiled ahead are those that an extraction needs."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

COUNT = """
import torch
from engine.network.classifiers import load_classifier
from engine.paths.layer_kernel import in_order_of_neurons, select_rows
from engine.paths.map_kernels import select_in_pool, select_in_sum
from engine.paths.extraction import EffectivePath
EffectivePath(load_classifier("lenet5-digits").module).extract(torch.rand(2, 1, 28, 28))
kernels = (select_rows, in_order_of_neurons, select_in_pool, select_in_sum)
print(sum(sum(each.stats.cache_misses.values()) for each in kernels))
"""


@pytest.mark.slow
def test_an_extraction_compiles_nothing_anew(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "engine.paths.compilation"], cwd=ROOT, env=environment, check=True)
    counted = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert int(counted.stdout) == 0
