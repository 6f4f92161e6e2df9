"""The verb bench."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import click

from engine.benchmark.extraction import NETWORKS, ExtractionCost, extraction_cost, scaling_costs
from engine.command_line.options import usable_device
from engine.command_line.printing import progress_bar, verb
from engine.errors import EngineError
from engine.network.catalogue import architecture


@click.command()
@click.argument("networks", nargs=-1)
@click.option("--runs", default=3, type=click.IntRange(min=1), help="How often each time is taken; the median counts.")
@click.option("--threads", "n_threads", default=2, type=click.IntRange(min=1), help="Of the CPU.")
@click.option("--device", default="cpu", callback=usable_device, help="cpu or cuda.")
@click.option("--cdrp/--no-cdrp", default=True, help="Compare with critical data routing paths, 30 steps.")
@click.option("--scaling/--no-scaling", default=False, help="Also the cost against θ and against number of images.")
@verb
def bench(networks: tuple[str, ...], runs: int, n_threads: int, device: str, cdrp: bool, scaling: bool) -> Any:
    """Measure what a path costs beside one forward pass, for NETWORKS or those of the usual table.

    Weights are random (He et al. 2015, seed 0), and so is the image.
    """
    names = networks or NETWORKS
    for name in names:
        architecture(name)  # an unknown one is refused before any is measured
    shown: dict[str, Any] = {"threads": n_threads, "runs": runs, "device": device, "networks": []}
    for name in names:
        with progress_bar(name) as report:
            report(0.0, "in a process of its own")
            cost = _apart(partial(extraction_cost, name, n_threads=n_threads, runs=runs, cdrp=cdrp, device=device))
            report(1.0, "done")
        shown["networks"].append(cost.row())
    if scaling:
        with progress_bar(f"{names[0]}, scaling") as report:
            costs = scaling_costs(names[0], n_threads=n_threads, runs=runs, device=device, progress=report)
        shown["scaling"] = [{"network": names[0], **cost.row()} for cost in costs]
    return shown


def _apart(measure: Callable[[], ExtractionCost]) -> ExtractionCost:
    """Measures in a process of its own: memory that another network was given would be used again, and not be seen."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(measure).result()
        except BrokenExecutor as error:
            raise EngineError(
                "The measuring process was killed, perhaps for memory; name a smaller network."
            ) from error
