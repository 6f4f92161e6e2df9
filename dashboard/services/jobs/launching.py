"""How the process of a job is started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dashboard.services.jobs.job import Order
from dashboard.services.jobs.supervisor import spawn_with
from dashboard.services.jobs.table import REDIS_LIST

_START = Path(__file__).with_name("start.py")
# Read by torch, its libraries and numba when they are imported.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def launch(
    order: Order, log_file: Path, environment: Mapping[str, str] | None = None, keep_open: Sequence[int] = ()
) -> subprocess.Popen:
    """Starts the process that carries out an order.

    Args:
        order: what it does.
        log_file: what it says goes there.
        environment: what else it is told; unlike a command line, others cannot read it.
        keep_open: open files of this process that it keeps open too.
    """
    threads = dict.fromkeys(_THREAD_VARIABLES, str(order.threads))
    # It finds what the server finds: the program itself, and an own model's module.
    search = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    command = [sys.executable, "-P", str(_START), order.to_json()]
    inherited = {name: value for name, value in os.environ.items() if name != REDIS_LIST}
    variables = inherited | threads | {"PYTHONPATH": search} | dict(environment or {})
    return spawn_with(command, variables, log_file, keep_open)
