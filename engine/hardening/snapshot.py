"""An optimiser, a schedule and random generators as tensors and plain values, and back, without loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Schedule = torch.optim.lr_scheduler.LRScheduler


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser's state, by ``NUMBER.NAME`` of parameter and entry."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value
        for number, entries in state.items()
        for name, value in entries.items()
        if isinstance(value, Tensor)
    }


def optimizer_values(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The rest of an optimiser's state, for JSON: its groups' settings, and what is no tensor."""
    whole = optimizer.state_dict()
    numbers = {
        str(number): {name: value for name, value in entries.items() if not isinstance(value, Tensor)}
        for number, entries in whole["state"].items()
    }
    return {"groups": whole["param_groups"], "numbers": numbers}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    """Puts an optimiser in the state it was in."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {int(number): dict(entries) for number, entries in values["numbers"].items()}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        counts = name == "step"  # a counter, which stays on the CPU
        state.setdefault(int(number), {})[name] = value if counts else _laid_out_like(parameters[int(number)], value)
    optimizer.load_state_dict({"state": state, "param_groups": values["groups"]})


def restore_schedule(schedule: Schedule, values: Mapping[str, Any]) -> None:
    """Puts a schedule in the state it was in."""
    schedule.load_state_dict(dict(values))


def random_states(generators: Mapping[str, torch.Generator], device: torch.device) -> dict[str, Tensor]:
    """The states of the given generators, and of torch's global one, which dropout uses, on the CPU and the device."""
    states = {f"own.{name}": generator.get_state() for name, generator in generators.items()}
    states["global"] = torch.get_rng_state()
    if device.type == "cuda":
        states["device"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(
    states: Mapping[str, Tensor], generators: Mapping[str, torch.Generator], device: torch.device
) -> None:
    """Puts all generators in the states they were in."""
    for name, generator in generators.items():
        generator.set_state(states[f"own.{name}"])
    torch.set_rng_state(states["global"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["device"], device)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``PREFIX.``, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's memory layout, so that the same instructions run on it as before."""
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
