"""Eval mode for a while, also for several threads at once."""

import threading

from torch import nn

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
