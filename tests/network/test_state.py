"""Eval mode for a while, also for several threads at once."""

import threading

import pytest
import torch
from torch import nn

from engine.network.freshness import model_state
from engine.network.state import evaluating


def test_overlapping_blocks_restore_once():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    net[1].eval()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with evaluating(net):
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    with evaluating(net):
        thread.start()
        assert entered.wait(5)
    assert not any(module.training for module in net.modules())  # the other block still needs it
    leave.set()
    thread.join()
    assert [module.training for module in net.modules()] == [True, True, False]


def test_an_overridden_train_is_not_called():
    class Merging(nn.Linear):
        def train(self, mode=True):
            raise AssertionError("has side effects")

    net = Merging(2, 2)
    with evaluating(net):
        assert not net.training
    assert net.training


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_one_element_changed_behind_the_scenes_is_noticed(channels, dtype):
    model = nn.Sequential(nn.Conv2d(channels, 3, 3), nn.BatchNorm2d(3)).to(dtype)
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    before = model_state(model)
    assert model_state(model) == before
    model[0].weight.data[0, 0, 1, 1] = 0.99609375  # the sum of its bytes is that of 1.0
    assert model_state(model) != before
