"""Runs that diverge, meet NaN or run out of memory: the reason is said, and the last good checkpoint stays."""

import pytest
import torch

from engine.errors import EngineError
from engine.hardening.failures import is_out_of_memory
from engine.hardening.hardening import harden
from engine.hardening.methods.base import Losses
from engine.hardening.methods.pat import PAT, HalfAttacked
from engine.hardening.methods.vanilla import CrossEntropy, Vanilla
from engine.hardening.state import epoch_weights
from engine.network.checkpoint import load_checkpoint, non_finite_tensors
from tests.hardening.nets import few, lenet, toy_data

BATCHES = 3


@pytest.fixture(scope="module")
def data():
    return toy_data()


def at_batch(monkeypatch, kind, number, act):
    """Lets ``act(objective, losses)`` take the place of the losses of the ``number``-th batch, from 1."""
    real, calls = kind.losses, []

    def losses(self, *given):
        calls.append(1)
        found = real(self, *given)
        return act(self, found) if len(calls) == number else found

    monkeypatch.setattr(kind, "losses", losses)


def nan_loss(objective, losses):
    return Losses(losses.logits, {name: term * float("nan") for name, term in losses.terms.items()}, losses.weights)


def infinite_weight(objective, losses):
    with torch.no_grad():
        objective.job.model.fc1.bias[3] = float("inf")
    return losses


def nan_gradient(objective, losses):
    term = losses.terms["clean"]
    bad = term + 0 * (term - term.detach()).sqrt()  # a finite loss whose gradient is NaN
    return Losses(losses.logits, {**losses.terms, "clean": bad}, losses.weights)


@pytest.mark.parametrize("act", [nan_loss, infinite_weight, nan_gradient])
def test_what_is_not_finite_names_epoch_batch_and_the_last_good_checkpoint(data, tmp_path, monkeypatch, act):
    at_batch(monkeypatch, CrossEntropy, BATCHES + 2, act)
    with pytest.raises(EngineError, match=r"epoch 2, batch 2: expected (a )?finite") as error:
        harden(lenet(data), data, Vanilla(), settings=few(epochs=3), folder=tmp_path)
    assert str(tmp_path / "epoch-001.safetensors") in str(error.value)
    assert "learning rate" in str(error.value)
    kept = lenet(data).module
    load_checkpoint(kept, epoch_weights(tmp_path)[1])
    assert non_finite_tensors(kept) == ()


def test_nan_that_the_attack_meets_is_told_the_same_way(data, tmp_path, monkeypatch):
    def spoil(objective, losses):
        objective.job.model.fc3.weight.data.fill_(3e38)  # finite, but its logits are not
        return losses

    at_batch(monkeypatch, HalfAttacked, 2, spoil)
    with pytest.raises(EngineError, match=r"epoch 1, batch 3: .*expected finite logits.*There is no checkpoint yet"):
        harden(lenet(data), data, PAT(steps=1), settings=few(weight_decay=0.0, lr=1e-9), folder=tmp_path)


def test_a_run_that_diverges_says_so(data):
    with pytest.raises(EngineError, match=r"epoch \d, batch \d: .*No checkpoints were kept"):
        harden(lenet(data), data, Vanilla(), settings=few(lr=1e30))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_says_to_lower_the_batch_size(data, tmp_path, monkeypatch, error):
    def exhaust(*_):
        raise error

    at_batch(monkeypatch, CrossEntropy, BATCHES + 1, exhaust)
    with pytest.raises(EngineError, match=r"epoch 2, batch 1: memory ran out; lower the batch size.*epoch-001"):
        harden(lenet(data), data, Vanilla(), settings=few(), folder=tmp_path)
    assert is_out_of_memory(error)


def test_memory_that_really_runs_out_is_known_as_such():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**50)
    assert is_out_of_memory(error.value)


def test_other_errors_pass_as_they_are(data, monkeypatch):
    def fail(*_):
        raise RuntimeError("a mistake in the program")

    at_batch(monkeypatch, CrossEntropy, 1, fail)
    with pytest.raises(RuntimeError, match="a mistake in the program"):
        harden(lenet(data), data, Vanilla(), settings=few())
