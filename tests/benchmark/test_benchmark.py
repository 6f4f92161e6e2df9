"""The measurements themselves: everything is run, in turn, and what was set is set back. No time is asserted."""

import math

import numpy as np
import pytest
import torch

from engine.benchmark.extraction import ExtractionCost, extraction_cost, scaling_costs
from engine.benchmark.memory import peak_memory
from engine.benchmark.timing import medians, threads
from engine.errors import Cancelled
from tests.test_command_line import run, run_json


def test_works_take_turns_after_a_first_round_that_does_not_count():
    order, told = [], []
    found = medians(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, lambda share, _: told.append(share)
    )
    assert order == ["a", "b"] * 3
    assert set(found) == {"a", "b"}
    assert told == sorted(told)
    assert told[-1] == 1.0


def stop_inside(stop, count):
    with threads(count):
        medians({"work": int}, 1, stop)


def test_the_number_of_threads_is_set_back_even_after_an_error():
    before, seen = torch.get_num_threads(), []

    def stop(*_):
        seen.append(torch.get_num_threads())
        raise Cancelled

    with pytest.raises(Cancelled):
        stop_inside(stop, before + 1)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_memory_that_is_given_back_is_seen():
    size = 300 * 2**20
    seen = peak_memory(lambda: np.ones(size, np.uint8).sum())
    assert 0.8 * size < seen < 1.5 * size


def test_a_networks_cost_is_told_as_multiples():
    cost = extraction_cost("lenet5", runs=1)
    assert cost.synapses > 0
    assert all(value > 0 for value in (cost.forward_s, cost.path_s, cost.partial_s, cost.cdrp_s))
    row = ExtractionCost("alexnet", 2, "cpu", 0.02, 0.06, 0.03, 1.2, 2**20, 7).row()
    assert row["path / forward"] == pytest.approx(3)
    assert row["last 3 layers / forward"] == pytest.approx(1.5)
    assert row["CDRP / path"] == pytest.approx(20)
    assert row["CDRP / path, paper"] == 70
    assert row["memory MB"] == 1
    assert math.isnan(extraction_cost("lenet5", runs=1, cdrp=False).cdrp_s)


def test_more_of_a_neurons_value_takes_more_synapses():
    costs = scaling_costs("lenet5", thetas=(0.2, 0.5, 1.0), batches=(1, 4), runs=1)
    assert [(cost.theta, cost.images) for cost in costs] == [(0.2, 1), (0.5, 1), (1.0, 1), (0.5, 4)]
    assert costs[0].synapses < costs[1].synapses < costs[2].synapses
    assert costs[3].row()["images"] == 4


def test_the_verb_prints_one_row_a_network():
    shown = run_json("bench", "lenet5", "--runs", 1, "--scaling", "--no-cdrp", "--threads", 1)
    assert [row["network"] for row in shown["networks"]] == ["lenet5"]
    assert shown["networks"][0]["CDRP / path"] is None
    assert {row["theta"] for row in shown["scaling"]} >= {0.1, 0.5, 1.0}
    assert "unknown" in run("bench", "nothing", status=2).stderr
