"""Runs every check of the project: lint, format, types, tests. ``python -m tests [pytest options]``.

Without options, tests marked slow are left out, and the others are shared among processes; unless CI is set in the
environment: then all run, one after the other.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A process takes about 1 GB.
MOST_PROCESSES = 4


def main(options: list[str]) -> int:
    """Runs the checks in turn and stops at the first that fails."""
    environment, selection = dict(os.environ), options
    if not options and not os.environ.get("CI"):
        processes = min(os.cpu_count() or 1, MOST_PROCESSES)
        selection = ["-m", "not slow", "-n", str(processes), "--dist", "loadfile"]
        environment["OMP_NUM_THREADS"] = "1"  # as many threads as processors in each process would slow all of them
    for command in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", *selection],
    ):
        print("$", *command, flush=True)
        status = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environment).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
